"""torch on a CPU: torchvision's own Mask R-CNN, the reference that every engine is compared with. Imports torch."""
