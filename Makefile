# Two commands do everything: `make demo` and `make test`. Each installs what it needs into .venv first, and no more.
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin

# Ray and OpenVINO would otherwise count their users.
export RAY_USAGE_STATS_ENABLED := 0
export OPENVINO_TELEMETRY_OPT_OUT := 1
# Hundreds of processes of the tests would each compile what they import, where an environment forbids to keep it.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help
help: ## Show what can be made
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/  make \1|\2/' | column -t -s '|'

# What is installed: each of these files says that a part is there.
CORE := .venv/.core
LIVE := .venv/.live
STAMP := .venv/.tests
BENCH := .venv/.bench

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("roadmask needs Python 3.11 or newer, $(PYTHON) is " + sys.version.split()[0] + ": make PYTHON=python3.11 ...")'
	@$(PYTHON) -m venv .venv
	@$@ -m pip install --quiet uv || $@ -m pip install --quiet --upgrade 'pip>=25.1' # uv takes seconds, pip minutes

$(CORE): pyproject.toml | $(BIN)/python
	@.ci/install roadmask --editable .
	@touch $@
$(LIVE): $(CORE)
	@.ci/install 'what live cameras need' --editable '.[live]'
	@touch $@
$(STAMP): $(CORE)
	@.ci/install 'what tests need' --editable '.[all]' --group dev
	@touch $@
# norfair asks for an older numpy; ultralytics and a reader of CVAT's files bring another OpenCV. All run with what is
# there.
$(BENCH): $(STAMP)
	@.ci/install 'trackers of others' --group peers
	@.ci/install 'networks and readers of others' --no-deps 'norfair>=2.3,<3' 'filterpy>=1.4.5,<2' 'datumaro>=1.13,<2' \
		'ultralytics>=8.4,<9' 'ultralytics-thop>=2.1,<3'
	@touch $@

.PHONY: setup bench-setup
setup: $(STAMP) ## Make the virtual environment with what development needs
bench-setup: $(BENCH) ## Also install the trackers and networks of others that benchmarks compare with

.PHONY: demo
demo: $(CORE) ## Record a part of the sample drive, or your own video: make demo SOURCE=my.mp4
	@$(BIN)/roadmask demo --out out/demo $(if $(SOURCE),"$(SOURCE)")

.PHONY: live-demo
live-demo: $(LIVE) ## Watch the sample drive as two live cameras, in a browser
	@$(BIN)/python demos/02_watch_live.py

.PHONY: failures
failures: $(CORE) ## Look at where the model fails: night, rain, riders, a crowd
	@$(BIN)/python demos/03_where_it_fails.py

# The order of the files is that of tests/conftest.py.
PYTEST := $(BIN)/python -m pytest --numprocesses=2 --dist=loadfile --no-loadscope-reorder
.PHONY: test test-ci
test: $(STAMP) ## Run the tests, offline; those marked ci and bars are left out
	$(PYTEST)
test-ci: $(STAMP) ## Run the tests marked ci, too; needs the packages of .ci/apt.txt and ROADMASK_DATA
	ROADMASK_REQUIRE_SYSTEM=1 $(PYTEST) -m "not bars"

.PHONY: graphs
graphs: $(STAMP) ## Export the graphs that come with the package again, after a change of weights or networks
	$(BIN)/python -m benchmarks.graphs

.PHONY: lint
lint: $(STAMP) typecheck ## Check style and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check

.PHONY: format
format: $(STAMP) ## Format the code
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

.PHONY: typecheck
typecheck: $(STAMP)
	$(BIN)/mypy

DOCS := .venv/.docs
$(DOCS): $(STAMP)
	@.ci/install 'what the documentation needs' --group docs
	@touch $@

# mkdocs-material would otherwise advertise its successor.
.PHONY: docs docs-serve
docs docs-serve: export NO_MKDOCS_2_WARNING := 1
docs: $(DOCS) ## Build the documentation into out/site; offline, and any dead link is an error
	@$(BIN)/python -m mkdocs build --quiet
	@echo out/site/index.html
docs-serve: $(DOCS) ## Show the documentation while you write it
	$(BIN)/python -m mkdocs serve --livereload

# What the documentation promises, measured. Each needs real data; `make -k bars` goes on after one that fails.
DATA := $(or $(ROADMASK_DATA),../shared/data)
.PHONY: bars
bars: bars-parity bars-tests bars-accuracy bars-tracking bars-speed ## Measure what is promised; needs ROADMASK_DATA, takes minutes
out/bars:
	@test -f $(DATA)/README.md || { echo "bars need real data in $(DATA): set ROADMASK_DATA to its folder"; exit 1; }
	@mkdir -p $@

.PHONY: bars-parity bars-tests
PARITY := tests/engines/openvino/test_parity_images.py
bars-parity: $(STAMP) | out/bars
	ROADMASK_REQUIRE_SYSTEM=1 ROADMASK_DATA=$(DATA) $(BIN)/python -m pytest -m bars $(PARITY)
bars-tests: $(STAMP) | out/bars # all other tests that take minutes
	ROADMASK_REQUIRE_SYSTEM=1 ROADMASK_DATA=$(DATA) $(BIN)/python -m pytest -m bars --ignore=$(PARITY)

.PHONY: bars-speed
bars-speed: $(STAMP) | out/bars ## Measure pasting masks and the start of a run
	$(BIN)/roadmask bench masks --ratio-min 100 --pixel-error-max 1e-5 --json out/bars/masks.json
	$(BIN)/python -m benchmarks.footprint --start-max 3 --json out/bars/footprint.json

.PHONY: bars-accuracy bars-loss-coco_dev bars-loss-pennfudan_dev
bars-accuracy: bars-loss-coco_dev bars-loss-pennfudan_dev
bars-loss-coco_dev bars-loss-pennfudan_dev: bars-loss-%: $(STAMP) | out/bars
	$(BIN)/roadmask eval segm --gt $(DATA)/$*/instances.json --images $(DATA)/$*/images --json out/bars/ap-$*.json
	$(BIN)/roadmask eval loss --gt $(DATA)/$*/instances.json --images $(DATA)/$*/images --json out/bars/loss-$*.json \
		--loss-max 0.5 --bound-max 1.0 --proposals-loss-max 0.3

.PHONY: bars-tracking bars-tracks-gt bars-tracks-CIWT bars-tracks-YOLOX-OC-SORT bars-tracks-mots
bars-tracking: bars-tracks-gt bars-tracks-CIWT bars-tracks-YOLOX-OC-SORT bars-tracks-mots ## Measure the tracker on KITTI; see docs/measurements/tracking.md
BAR-gt := --hota-min car=99.6 --switches-max car=8
BAR-CIWT := --hota-min car=67.3 --switches-max car=110
BAR-YOLOX-OC-SORT := --hota-min car=54.3 --switches-max car=74
bars-tracks-gt bars-tracks-CIWT bars-tracks-YOLOX-OC-SORT: bars-tracks-%: $(STAMP) | out/bars
	$(BIN)/roadmask track --detections $(DATA)/reference/kitti_box/$(if $(filter gt,$*),gt,trackers/$*) --format kitti-box --out out/bars/tracks-$* \
		--shuffle 1
	$(BIN)/roadmask eval tracks --gt $(DATA)/reference/kitti_box/gt --results out/bars/tracks-$* --format kitti-box --classes car \
		--ceiling --json out/bars/tracks-$*.json --plot out/bars/tracks-$*.png $(BAR-$*)
bars-tracks-mots: $(STAMP) | out/bars
	$(BIN)/roadmask track --detections $(DATA)/kitti_mots_gt --format kitti-mots --out out/bars/tracks-mots --shuffle 1
	$(BIN)/roadmask eval tracks --gt $(DATA)/kitti_mots_gt --results out/bars/tracks-mots --format kitti-mots --ceiling \
		--json out/bars/tracks-mots.json --plot out/bars/tracks-mots.png --hota-min car=98 --hota-min pedestrian=94

# HOTA and switches with other settings: make tracking-part PART='camera_share = 1' INPUTS='gt corrupted'
.PHONY: tracking-part
INPUTS := gt CIWT YOLOX-OC-SORT mots corrupted
tracking-part: $(STAMP) | out/bars
	printf '[tracker]\n%s\n' "$(PART)" > out/bars/part.toml
	set -e; for input in $(INPUTS); do \
		case $$input in \
			corrupted) $(BIN)/python -m benchmarks.tracking_robustness --gt $(DATA)/kitti_mots_gt --config out/bars/part.toml \
				--seeds 1 --no-peers --processes 1 --json out/bars/part-$$input.json; continue ;; \
			mots) kind=kitti-mots; found=$(DATA)/kitti_mots_gt; truth=$$found ;; \
			gt) kind=kitti-box; found=$(DATA)/reference/kitti_box/gt; truth=$$found ;; \
			*) kind=kitti-box; found=$(DATA)/reference/kitti_box/trackers/$$input; truth=$(DATA)/reference/kitti_box/gt ;; \
		esac; \
		$(BIN)/roadmask track --detections $$found --format $$kind --config out/bars/part.toml --out out/bars/part-$$input; \
		$(BIN)/roadmask eval tracks --gt $$truth --results out/bars/part-$$input --format $$kind --json out/bars/part-$$input.json; \
	done

.PHONY: bars-resume
bars-resume: $(STAMP) ## Kill runs at many moments, in process and on Ray, and resume them; takes minutes
	$(BIN)/python -m pytest -m bars tests/streaming/recording/test_killed.py

.PHONY: bars-signals
bars-signals: $(STAMP) ## Interrupt runs by each signal at many moments, recorded and live; takes minutes
	$(BIN)/python -m pytest -m bars tests/field/test_interrupted.py

.PHONY: bars-store bars-run
bars-store: $(STAMP) | out/bars ## Measure the size and reading of stores
	$(BIN)/python -m benchmarks.store $(DATA)/clips/highway.mp4 $(DATA)/kitti_mots_gt --json out/bars/store.json \
		--share-max 0.02 --p95-max 20
bars-run: $(STAMP) | out/bars ## Measure a run against its engine, in process and on Ray
	$(BIN)/roadmask bench run $(DATA)/clips/highway.mp4 --json out/bars/run.json --ratio-min 0.8 --overhead-max 8 \
		--growth-max 100
	$(BIN)/roadmask bench run $(DATA)/clips/highway.mp4 --ray --json out/bars/run-ray.json --ratio-min 0.7 \
		--overhead-max 8 --growth-max 100

.PHONY: bars-view
bars-view: $(STAMP) | out/bars ## Measure the page of a recorded store of 10,000 frames
	$(BIN)/python -m benchmarks.view --json out/bars/view.json --paint-max 2 --p95-max 250 --files-max 4 --mb-max 2 \
		--memory-max 300

.PHONY: clean
clean: ## Remove what was built; keeps .venv
	rm -rf build out dist *.egg-info .pytest_cache .mypy_cache .ruff_cache
