# SPDX-License-Identifier: Apache-2.0
# One non-recursive Makefile. Everything built lands in $(B); `make V=1` shows the commands.

B := build
PREFIX ?= /usr/local
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

$(B)/pyprofd.bpf.o: bpf/pyprofd.bpf.c $(B)/vmlinux.h
	$(call say,BPF,$@) $(CLANG) -target bpf -O2 -g -mcpu=v3 -Wall -Werror -Wno-gnu-variable-sized-type-not-at-end -D__TARGET_ARCH_x86 -I$(B) -Ibpf \
		-I/usr/include/$(shell $(CC) -print-multiarch) -MMD -MP -MF $(@:.o=.d) -MT $@ -c $< -o $@.tmp
	$(Q)$(BPFTOOL) gen object $@ $@.tmp && rm $@.tmp

$(B)/pyprofd.skel.h: $(B)/pyprofd.bpf.o
	$(call say,SKEL,$@) $(BPFTOOL) gen skeleton $< name pyprofd_bpf > $@.tmp && mv $@.tmp $@

$(B)/daemon-o/daemon/probe.o: $(B)/pyprofd.skel.h

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

-include $(DAEMON_OBJ:.o=.d) $(CLI_OBJ:.o=.d) $(B)/pyprofd.bpf.d $(UNIT_BIN:=.d)

clean:
	$(Q)rm -rf build
