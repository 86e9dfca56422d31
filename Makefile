# Short names for what meson does. `make demo` and `make test` start from a bare Debian or Ubuntu.
BUILD ?= build
ASAN  ?= build-asan
TSAN  ?= build-tsan
FUZZ  ?= build-fuzz

.PHONY: all packages models demo test check asan tsan fuzz bench manual install clean

all: $(BUILD)/build.ninja
	@ninja -C $(BUILD) --quiet src/sooth src/libsooth.a
	@ln -sf src/sooth $(BUILD)/sooth

$(BUILD)/build.ninja:
	@tools/get-packages
	@meson setup $(BUILD) --buildtype=release >/dev/null

packages:
	@tools/get-packages

models: all
	@BUILD=$(BUILD) tools/get-models

demo: all
	@BUILD=$(BUILD) tools/get-models smollm2 e5
	@BUILD=$(BUILD) examples/demo.sh

test: all
	@BUILD=$(BUILD) tools/get-models || echo "make test: some models could not be fetched: tests that want them are skipped"
	@ninja -C $(BUILD) --quiet tests
	@tools/run-tests $(BUILD)

check: all
	@tools/check-layers && tools/check-banned && tools/check-headers && tools/check-manual $(BUILD)

# The tests again under sanitizers: addresses, leaks and undefined behaviour; then threads.
asan:
	@tools/get-packages
	@[ -d $(ASAN) ] || meson setup $(ASAN) --buildtype=debugoptimized -Db_sanitize=address,undefined -Db_lundef=false >/dev/null
	@ninja -C $(ASAN) --quiet all tests
	@tools/run-tests $(ASAN) --timeout-multiplier 10

tsan:
	@tools/get-packages
	@[ -d $(TSAN) ] || meson setup $(TSAN) --buildtype=debugoptimized -Db_sanitize=thread -Db_lundef=false >/dev/null
	@ninja -C $(TSAN) --quiet all tests
	@tools/run-tests $(TSAN) --timeout-multiplier 10

# SECONDS a target (default 300); the corpus that is replayed by `make test` is where each begins.
fuzz:
	@tools/fuzz $(FUZZ) $${SECONDS_EACH:-300}

bench: all
	@ninja -C $(BUILD) --quiet bench
	@bench/run $(BUILD)

manual: all
	@tools/make-manual $(BUILD)

install: all
	@meson install -C $(BUILD)

clean:
	@rm -rf $(BUILD) $(ASAN) $(TSAN) $(FUZZ)
