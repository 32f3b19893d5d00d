"""Live cameras: the newest frame wins, everything dropped is counted, and the result can be watched."""
