# make help lists the targets. Go alone is needed for help, build and test.

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := build

# The versions of the checkers; .ci/run has the same.
STATICCHECK := honnef.co/go/tools/cmd/staticcheck@v0.8.2
GOVULNCHECK := golang.org/x/vuln/cmd/govulncheck@v1.9.0,v1.1.4

FUZZTIME ?= 10s
BENCH    ?= .
BENCHTIME ?= 1s
HISTORY  ?= 0
KILLS    ?= 1000
HOSTILE  ?= 10000
RIG      ?= amd64
TARGETS  ?= arm64 armv7 armv6 amd64

.PHONY: help
help: ## this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  make %-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: build
build: ## the binary ./tillgate, static, without USB
	CGO_ENABLED=0 go build -trimpath -ldflags '-s -w' -o tillgate .

.PHONY: usb
usb: ## the binary ./tillgate with USB (needs gcc, pkg-config, libusb-1.0-0-dev)
	CGO_ENABLED=1 go build -trimpath -tags libusb -ldflags '-s -w' -o tillgate .

.PHONY: arm64 armv7 armv6 amd64
arm64: ## a static release binary with libusb in dist/, for this machine; TAGS=nobroker is smaller (needs the Debian cross compilers)
armv7: ## likewise, for 32-bit ARMv7
armv6: ## likewise, for Raspberry Pi Zero and 1
amd64: ## likewise, for PCs
arm64 armv7 armv6 amd64:
	TAGS='$(TAGS)' .ci/static $@

.PHONY: release-test
release-test: ## all release binaries, with and without broker: looked at, run on their (emulated) machines, and built twice to the same bytes (needs qemu-user-static, 15 min)
	for target in $(TARGETS); do \
		.ci/reproducible $$target; .ci/guard $$target dist/tillgate-$$target; \
		TAGS=nobroker .ci/static $$target; .ci/guard $$target dist/tillgate-$$target-nobroker; \
	done

.PHONY: relink-test
relink-test: ## a release binary linked anew from its object files with another libusb, as docs/licences.md says: TARGETS="armv6"
	for target in $(TARGETS); do .ci/relink-test $$target; done

.PHONY: bridge
bridge: ## the bridges to the vendor's BPOS library in dist/: for Linux (needs gcc; CC and GOARCH for another machine), for Windows of 32 and 64 bits
	CGO_ENABLED=1 go build -trimpath -tags bposlib -ldflags '-s -w' -o dist/tillgate-bpos-bridge ./link/bpos/bridge/linux
	CGO_ENABLED=0 GOOS=windows GOARCH=386 go build -trimpath -ldflags '-s -w' -o dist/tillgate-bpos-bridge-386.exe ./link/bpos/bridge/windows
	CGO_ENABLED=0 GOOS=windows GOARCH=amd64 go build -trimpath -ldflags '-s -w' -o dist/tillgate-bpos-bridge-amd64.exe ./link/bpos/bridge/windows

.PHONY: deb
deb: ## the Debian packages of the release binaries in dist/
	for target in $(TARGETS); do TAGS='$(TAGS)' .ci/static $$target; TAGS='$(TAGS)' .ci/deb $$target; done

.PHONY: deb-test
deb-test: ## installs, updates, removes and purges the package in a Debian root of its own (needs root, debootstrap)
	.ci/deb-test

.PHONY: boot-test
boot-test: ## a real boot under QEMU: readiness, rights, a hang, a payment in flight, updates forwards and back (needs root, debootstrap, qemu-system-x86, dosfstools, mtools, cpio, zstd)
	.ci/boot-test

.PHONY: buildroot-check
buildroot-check: ## checks buildroot/ with the Buildroot tree in BUILDROOT=dir, without building
	BUILDROOT='$(BUILDROOT)' .ci/buildroot

.PHONY: card-test
card-test: ## the image of a card, from empty systems: partitions, U-Boot, RAUC and mounts agree (needs genimage, mtools, u-boot-tools)
	.ci/card

.PHONY: uboot-test
uboot-test: ## builds U-Boot from the tree in UBOOT=dir and plays with the two systems of a card under QEMU
	UBOOT='$(UBOOT)' .ci/uboot

.PHONY: test
test: ## all tests
	go test -timeout 30m ./...

.PHONY: race
race: ## all tests with the race detector and USB (needs gcc, pkg-config, libusb-1.0-0-dev)
	go test -timeout 30m -race -tags libusb ./...

.PHONY: test-386
test-386: ## all tests as programs of 32 bits, without what loads a library of 64 bits and what 386 is not released for
	GOARCH=386 CGO_ENABLED=0 go test -timeout 30m -skip 'TestLinuxBridge|TestAnnouncedUpdate' ./...

# What starts itself as another process, and what looks on with strace, runs on a
# kernel of its own machine only (make rig-all).
.PHONY: test-armv6
test-armv6: ## the tests of journal, lanes and drivers on an emulated arm1176 (needs qemu-user-static, 10 min)
	GOARCH=arm GOARM=6 CGO_ENABLED=0 QEMU_CPU=arm1176 go test -timeout 30m -exec qemu-arm-static \
		-skip 'TestKilledAtEveryWrite|TestSecondProcess|TestSystemCallsFail|TestFlushesPerSale|TestLinuxBridge|TestDialSerial' \
		./store ./internal/payment ./internal/gateway ./link/...

.PHONY: lint
lint: ## gofmt, vet, staticcheck, govulncheck (its database is on the network)
	@unformatted=$$(find . -path ./dist -prune -o -name '*.go' -exec gofmt -l {} +); \
	if [ -n "$$unformatted" ]; then echo "gofmt would change: $$unformatted"; exit 1; fi
	go vet ./...
	.ci/tool $(STATICCHECK) ./...
	@.ci/tool $(GOVULNCHECK) ./... || { status=$$?; \
	if [ $$status -eq 3 ]; then exit 3; fi; \
	echo "NOT CHECKED for known vulnerabilities: govulncheck could not work here (exit status $$status)"; }

.PHONY: fuzz
fuzz: ## every fuzz target for FUZZTIME (10s)
	FUZZTIME=$(FUZZTIME) .ci/fuzz

.PHONY: crash
crash: ## the whole crash matrix, every byte of the drivers' lines, and KILLS (1000) kills of the real binary
	CRASH=all KILLS=$(KILLS) go test -v -count=1 -timeout 120m -run 'CrashMatrix|ClockOff|Mutations|Killed|Announced' ./internal/crashtest ./firmware
	CRASH=all go test -count=1 -timeout 60m -run Conformance ./link/...

.PHONY: rig
rig: ## the release binary in a QEMU machine with Debian's kernel: USB, UARTs, pulled plugs (needs qemu-system-x86)
	RIG=quick go test -v -count=1 -timeout 30m -run TestRig ./internal/rig

.PHONY: rig-one
rig-one: ## the same on one machine: RIG=amd64, arm64, armv7 or armv6; RIG_MOMENTS=all for every moment at which a plug can be pulled, RIG_ONLY=pattern for some scenes
	RIG=$(RIG) go test -v -count=1 -timeout 90m -run TestRig ./internal/rig

.PHONY: rig-all
rig-all: ## the same on every architecture, with every moment at which a plug can be pulled
	RIG=all go test -v -count=1 -timeout 240m -run TestRig ./internal/rig

.PHONY: udev-test
udev-test: ## udev of Debian 12 and of its backports reads the rules for terminals (needs root; fetches udev, installs nothing)
	.ci/udev

.PHONY: hostile
hostile: ## HOSTILE (10000) bad requests against the notification listener of a box that sells: memory, sales, answers
	HOSTILE=$(HOSTILE) go test -v -count=1 -timeout 60m -run 'Hostile|SameBytes' ./internal/notify

.PHONY: bench
bench: ## the goals of docs/performance.md and all other benchmarks: BENCH=pattern, BENCHTIME (1s), HISTORY=payments in the journal (0), HISTORY_DIR keeps them
	HISTORY=$(HISTORY) HISTORY_DIR='$(HISTORY_DIR)' go test -run '^$$' -bench '$(BENCH)' -benchtime '$(BENCHTIME)' -benchmem -timeout 120m ./... \
		| { grep -v -e '^PASS$$' -e '\[no test files\]$$' || true; }

.PHONY: cover
cover: ## tests with coverage: one line a package, then cover.html
	go test -coverprofile=cover.out ./...
	go tool cover -html=cover.out -o cover.html
	@go tool cover -func=cover.out | tail -1

.PHONY: ci
ci: ## what continuous integration runs
	.ci/run

.PHONY: clean
clean: ## remove what the other targets made
	rm -rf tillgate dist cover.out cover.html
