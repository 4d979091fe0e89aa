# SPDX-License-Identifier: Apache-2.0
# One non-recursive Makefile. Everything built lands in $(B); `make V=1` shows the commands.

B := build
prefix ?= /usr/local
PREFIX ?= $(prefix)
SBINDIR ?= $(PREFIX)/sbin
BINDIR ?= $(PREFIX)/bin
MANDIR ?= $(PREFIX)/share/man
SYSCONFDIR ?= /etc
DATADIR ?= $(PREFIX)/share
CC ?= gcc
CLANG ?= clang
BPFTOOL ?= $(shell command -v bpftool || echo /usr/sbin/bpftool)
VERSION := 0.1.0

BUILD_PACKAGES := clang llvm bpftool libbpf-dev libelf-dev zlib1g-dev libsystemd-dev libmicrohttpd-dev libjansson-dev \
	libcurl4-openssl-dev libncurses-dev uthash-dev libxxhash-dev libinih-dev pkg-config gcc make libc6-dev \
	clang-format cppcheck shellcheck libclang-rt-14-dev

ifneq ($(V),1)
Q := @
say = @printf '  %-8s %s\n' '$(1)' '$(2)';
endif

WARNINGS := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wno-unused-parameter -Werror
CFLAGS ?= -O2 -g
ALL_CFLAGS := -std=gnu11 $(CFLAGS) $(WARNINGS) -fno-strict-aliasing -D_GNU_SOURCE -DVERSION='"$(VERSION)"' \
	-DSYSCONFDIR='"$(SYSCONFDIR)"' -MMD -MP
ifeq ($(SANITIZE),1)
B := build/sanitize
ALL_CFLAGS += -fsanitize=address,undefined -fno-omit-frame-pointer
SANITIZE_LDFLAGS := -fsanitize=address,undefined
endif

# Who may include what: cli/ sees the ground floor, the pure rooms nothing above them.
INCLUDE_DAEMON := -Idaemon -Ibpf -I$(B)
INCLUDE_CLI := -I$(B)/include -Icli

DAEMON_LIBS := -lbpf -lelf -lz -lsystemd -lmicrohttpd -ljansson -lxxhash -linih
CLI_LIBS := -lcurl -ljansson -lncursesw -ltinfo

BASE_SRC := $(sort $(wildcard daemon/base/*.c))
DAEMON_SRC := $(sort $(wildcard daemon/*.c daemon/python/*.c daemon/proc/*.c daemon/export/*.c)) $(BASE_SRC)
CLI_SRC := $(sort $(wildcard cli/*.c)) $(BASE_SRC)
# Nouns of cli/ that have a unit test
CLI_NOUNS := when output table text rows option source
UNIT_SRC := $(sort $(wildcard tests/unit/test_*.c))

object = $(patsubst %.c,$(B)/$(1)/%.o,$(2))
DAEMON_OBJ := $(call object,daemon-o,$(DAEMON_SRC))
CLI_OBJ := $(call object,cli-o,$(CLI_SRC))
LIB_OBJ := $(filter-out %/daemon/main.o,$(DAEMON_OBJ))
UNIT_BIN := $(patsubst tests/unit/%.c,$(B)/unit/%,$(UNIT_SRC))

.PHONY: all deps check unit lint demo bench install clean
all: $(B)/pyprofd $(B)/pyprofctl

$(B)/vmlinux.h:
	@mkdir -p $(@D)
	$(call say,BTF,$@) $(BPFTOOL) btf dump file /sys/kernel/btf/vmlinux format c > $@.tmp && mv $@.tmp $@

BPF_CC = $(CLANG) -target bpf -O2 -g -mcpu=v3 -Wall -Werror -Wno-gnu-variable-sized-type-not-at-end -D__TARGET_ARCH_x86 \
	-I$(B) -Ibpf -I/usr/include/$(shell $(CC) -print-multiarch)

$(B)/pyprofd.bpf.o: bpf/pyprofd.bpf.c $(B)/vmlinux.h
	$(call say,BPF,$@) $(BPF_CC) -MMD -MP -MF $(@:.o=.d) -MT $@ -c $< -o $@.tmp
	$(Q)$(BPFTOOL) gen object $@ $@.tmp && rm $@.tmp

$(B)/pyprofd.skel.h: $(B)/pyprofd.bpf.o
	$(call say,SKEL,$@) $(BPFTOOL) gen skeleton $< name pyprofd_bpf > $@.tmp && mv $@.tmp $@

$(B)/daemon-o/daemon/probe.o $(B)/daemon-o/daemon/probe_stats.o: $(B)/pyprofd.skel.h

$(B)/include/base:
	@mkdir -p $(@D) && ln -sfn $(CURDIR)/daemon/base $@

$(B)/daemon-o/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$<) $(CC) $(ALL_CFLAGS) $(INCLUDE_DAEMON) -c $< -o $@

$(B)/cli-o/%.o: %.c | $(B)/include/base
	@mkdir -p $(@D)
	$(call say,CC,$<) $(CC) $(ALL_CFLAGS) $(INCLUDE_CLI) -c $< -o $@

$(B)/pyprofd: $(DAEMON_OBJ)
	$(call say,LD,$@) $(CC) $(CFLAGS) $(SANITIZE_LDFLAGS) $(LDFLAGS) -o $@ $^ $(DAEMON_LIBS)

$(B)/pyprofctl: $(CLI_OBJ)
	$(call say,LD,$@) $(CC) $(CFLAGS) $(SANITIZE_LDFLAGS) $(LDFLAGS) -o $@ $^ $(CLI_LIBS)

# Unit tests link the daemon's objects, or the client's, but for main.
UNIT_CLI := $(filter $(patsubst %,tests/unit/test_%.c,$(CLI_NOUNS)),$(UNIT_SRC))
UNIT_CLI_BIN := $(patsubst tests/unit/%.c,$(B)/unit/%,$(UNIT_CLI))
CLI_LIB_OBJ := $(filter-out %/cli/main.o,$(CLI_OBJ))

$(B)/libdaemon.a: $(LIB_OBJ)
	$(call say,AR,$@) rm -f $@ && ar rcs $@ $^

$(B)/libcli.a: $(CLI_LIB_OBJ)
	$(call say,AR,$@) rm -f $@ && ar rcs $@ $^

$(UNIT_CLI_BIN): $(B)/unit/%: tests/unit/%.c $(B)/libcli.a
	@mkdir -p $(@D)
	$(call say,CC,$<) $(CC) $(ALL_CFLAGS) $(INCLUDE_CLI) $(SANITIZE_LDFLAGS) -MF $@.d -o $@ $< $(B)/libcli.a $(CLI_LIBS)

$(B)/unit/%: tests/unit/%.c tests/unit/interpreter.c $(B)/libdaemon.a
	@mkdir -p $(@D)
	$(call say,CC,$<) $(CC) $(ALL_CFLAGS) $(INCLUDE_DAEMON) -Itests/unit $(SANITIZE_LDFLAGS) -MF $@.d -o $@ $< \
		tests/unit/interpreter.c $(B)/libdaemon.a $(DAEMON_LIBS) -lm

unit: $(UNIT_BIN)

# Measurements: the product's own BPF code beside the kernel's walk of C.
BENCH := $(B)/bench
$(BENCH)/walk.bpf.o: tests/bench/walk.bpf.c $(wildcard bpf/*) $(B)/vmlinux.h
	@mkdir -p $(@D)
	$(call say,BPF,$@) $(BPF_CC) -c $< -o $@.tmp
	$(Q)$(BPFTOOL) gen object $@ $@.tmp && rm $@.tmp

$(BENCH)/walk.skel.h: $(BENCH)/walk.bpf.o
	$(call say,SKEL,$@) $(BPFTOOL) gen skeleton $< name walk_bpf > $@.tmp && mv $@.tmp $@

$(BENCH)/bench: $(addprefix tests/bench/,bench.c meter.c work.c idle.c) $(BENCH)/walk.skel.h $(B)/libdaemon.a
	$(call say,CC,$@) $(CC) $(filter-out -MMD -MP,$(ALL_CFLAGS)) $(INCLUDE_DAEMON) -I$(BENCH) -o $@ $(filter %.c %.a,$^) \
		$(DAEMON_LIBS)

$(BENCH)/fpspin $(BENCH)/pipes: $(BENCH)/%: tests/bench/%.c
	@mkdir -p $(@D)
	$(call say,CC,$@) $(CC) -O2 $(WARNINGS) -fno-omit-frame-pointer -fno-optimize-sibling-calls -o $@ $<

bench: $(B)/pyprofd $(BENCH)/bench $(BENCH)/fpspin $(BENCH)/pipes
	@$(BENCH)/bench

# ---- for people ------------------------------------------------------------------------------------------------------

deps:
	@if [ "$$(id -u)" = 0 ]; then \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
			$(BUILD_PACKAGES) $$(grep -v '^#' tests/setup/packages); \
	else \
		echo "not root; as root this would be installed:"; \
		echo $(BUILD_PACKAGES) $$(grep -v '^#' tests/setup/packages); \
	fi

demo: deps
	@$(MAKE) --no-print-directory all
	@tests/demo.sh

check: deps
	@$(MAKE) --no-print-directory -j2 all unit
	@$(MAKE) --no-print-directory lint
	@$(MAKE) --no-print-directory -j2 SANITIZE=1 all unit
	@UNIT_TESTS='$(filter-out %/test_linetable,$(UNIT_BIN) $(patsubst build/%,build/sanitize/%,$(UNIT_BIN))) tests/unit/linetable.sh' \
		tests/run

# ---- what a machine can check ----------------------------------------------------------------------------------------

C_FILES := $(shell git ls-files "*.c" "*.h" 2>/dev/null)
SHELL_FILES := .ci/run tests/run tests/demo.sh $(shell git ls-files 'tests/*.sh' 'tests/*.bash' 2>/dev/null)

lint:
	$(call say,FORMAT,clang-format) clang-format --dry-run --Werror $(C_FILES)
	$(call say,LINT,cppcheck) cppcheck --quiet --error-exitcode=1 --inline-suppr --enable=warning,portability \
		--suppress=missingIncludeSystem --suppress=unknownMacro --suppress=nullPointerRedundantCheck --suppress=memleak --suppress=resourceLeak -D_GNU_SOURCE \
		-Idaemon -Ibpf daemon cli
	$(call say,LINT,shellcheck) shellcheck $(SHELL_FILES)
	$(call say,LINT,SPDX) ! git grep -L SPDX-License-Identifier -- '*.c' '*.h' '*.sh' '*.bats' '*.py' Makefile .clang-format .gitignore tests/setup/packages | grep .

install: all
	install -D -m 0755 $(B)/pyprofd $(DESTDIR)$(SBINDIR)/pyprofd
	install -D -m 0755 $(B)/pyprofctl $(DESTDIR)$(BINDIR)/pyprofctl
	install -D -m 0644 packaging/pyprofd.conf $(DESTDIR)$(SYSCONFDIR)/pyprofd.conf
	install -D -m 0644 packaging/man/pyprofd.8 $(DESTDIR)$(MANDIR)/man8/pyprofd.8
	install -D -m 0644 packaging/man/pyprofd.conf.5 $(DESTDIR)$(MANDIR)/man5/pyprofd.conf.5
	install -D -m 0644 packaging/man/pyprofctl.1 $(DESTDIR)$(MANDIR)/man1/pyprofctl.1
	install -D -m 0644 packaging/completions/bash $(DESTDIR)$(DATADIR)/bash-completion/completions/pyprofctl
	install -D -m 0644 packaging/completions/zsh $(DESTDIR)$(DATADIR)/zsh/site-functions/_pyprofctl
	install -D -m 0644 packaging/completions/fish $(DESTDIR)$(DATADIR)/fish/vendor_completions.d/pyprofctl.fish

-include $(DAEMON_OBJ:.o=.d) $(CLI_OBJ:.o=.d) $(B)/pyprofd.bpf.d $(UNIT_BIN:=.d)

clean:
	$(Q)rm -rf build
