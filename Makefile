# Short names for what meson does. `make demo` and `make test` start from a bare Debian or Ubuntu.
BUILD ?= build
.PHONY: all setup packages models demo test check asan tsan fuzz bench install clean

all: $(BUILD)/build.ninja
	@ninja -C $(BUILD)
$(BUILD)/build.ninja:
	@tools/get-packages
	@meson setup $(BUILD) --buildtype=release >/dev/null
packages:
	@tools/get-packages
models:
	@tools/get-models
