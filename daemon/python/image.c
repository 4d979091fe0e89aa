/* SPDX-License-Identifier: Apache-2.0 */
#include "python/image.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <gelf.h>
#include <libelf.h>
#include <stdio.h>
#include <string.h>

#include "python/offsets.h"
#include "python/version.h"

#define PAGE_MASK UINT64_C(0xfff)
#define SECTIONS_MAX 4096
#define SEGMENTS_MAX 256
#define SECTION_SIZE_MAX (64u << 20) /* of a section that is read into memory */
#define SYMTAB_NAMES_MAX (16u << 20) /* of an executable that exports nothing: beyond that it is not searched */
#define SYMBOLS_MAX (1u << 20)

enum symbol_name {
        SYMBOL_PROBE,
        SYMBOL_INITIALIZED,
        SYMBOL_RUNTIME,
        SYMBOL_CURRENT, /* 3.6 */
        SYMBOL_INTERP_HEAD,
        SYMBOL_CODE_TYPE,
        SYMBOL_EVAL,
        SYMBOL_EVAL_OLD,
        SYMBOL_VERSION,
        SYMBOL_DEBUG,
        SYMBOL_FREE_THREADED,
        SYMBOL_PYPY,
        SYMBOL_NAME_MAX,
};

static const char *const symbol_names[SYMBOL_NAME_MAX] = {
                [SYMBOL_PROBE] = "PyImport_ImportFrozenModule",
                [SYMBOL_INITIALIZED] = "Py_IsInitialized",
                [SYMBOL_RUNTIME] = "_PyRuntime",
                [SYMBOL_CURRENT] = "_PyThreadState_Current",
                [SYMBOL_INTERP_HEAD] = "interp_head",
                [SYMBOL_CODE_TYPE] = "PyCode_Type",
                [SYMBOL_EVAL] = "_PyEval_EvalFrameDefault",
                [SYMBOL_EVAL_OLD] = "PyEval_EvalFrameEx",
                [SYMBOL_VERSION] = "Py_Version",
                [SYMBOL_DEBUG] = "_Py_NegativeRefcount",
                [SYMBOL_FREE_THREADED] = "_Py_MergeZeroLocalRefcount",
                [SYMBOL_PYPY] = "pypy_main_startup",
};

/* What is known of the file while it is looked at. Sections are NULL where it has none. */
struct file {
        int fd;
        Elf *elf;
        GElf_Ehdr header;
        Elf_Scn *dynsym, *symtab, *rodata, *notes;
        bool interpreter;                  /* has PT_INTERP */
        uint64_t symbols[SYMBOL_NAME_MAX]; /* virtual addresses; 0: not defined here */
        uint64_t runtime_size;
        uint64_t runtime_section;         /* address of .PyRuntime */
        GElf_Phdr segments[SEGMENTS_MAX]; /* PT_LOAD only */
        size_t segments_n;
};

static void elf_endp(Elf **elf) {
        if (*elf)
                elf_end(*elf);
}

static int segments_read(struct file *f) {
        size_t n;

        if (elf_getphdrnum(f->elf, &n) < 0)
                return -EBADMSG;
        for (size_t i = 0; i < n && f->segments_n < SEGMENTS_MAX; i++) {
                GElf_Phdr p;

                if (!gelf_getphdr(f->elf, i, &p))
                        return -EBADMSG;
                if (p.p_type == PT_INTERP)
                        f->interpreter = true;
                if (p.p_type != PT_LOAD)
                        continue;
                if (p.p_vaddr + p.p_memsz < p.p_vaddr || p.p_offset + p.p_filesz < p.p_offset || p.p_filesz > p.p_memsz)
                        return -EBADMSG;
                f->segments[f->segments_n++] = p;
        }
        return 0;
}

static const GElf_Phdr *segment_of(const struct file *f, uint64_t address) {
        for (size_t i = 0; i < f->segments_n; i++)
                if (address >= f->segments[i].p_vaddr && address - f->segments[i].p_vaddr < f->segments[i].p_memsz)
                        return f->segments + i;
        return NULL;
}

/* Reads the file's content for a virtual address; fails where it is past what the file holds (.bss). */
static int file_read(const struct file *f, uint64_t address, void *data, size_t size) {
        const GElf_Phdr *p = segment_of(f, address);
        ssize_t n;

        if (!p || address - p->p_vaddr > p->p_filesz || size > p->p_filesz - (address - p->p_vaddr))
                return -ENODATA;
        n = pread(f->fd, data, size, p->p_offset + (address - p->p_vaddr));
        if (n < 0)
                return -errno;
        return (size_t)n == size ? 0 : -ENODATA;
}

static int sections_find(struct file *f) {
        size_t names;
        Elf_Scn *s = NULL;

        if (elf_getshdrstrndx(f->elf, &names) < 0)
                return 0; /* no sections at all */
        for (size_t i = 0; i < SECTIONS_MAX && (s = elf_nextscn(f->elf, s)); i++) {
                GElf_Shdr h;
                const char *name;

                if (!gelf_getshdr(s, &h))
                        return -EBADMSG;
                if (h.sh_size > SECTION_SIZE_MAX || h.sh_type == SHT_NOBITS)
                        continue;
                if (h.sh_type == SHT_DYNSYM)
                        f->dynsym = s;
                else if (h.sh_type == SHT_SYMTAB)
                        f->symtab = s;
                name = elf_strptr(f->elf, names, h.sh_name);
                if (name && strcmp(name, ".PyRuntime") == 0) /* 3.10 and later, stripped or not */
                        f->runtime_section = h.sh_addr;
                if (name && strcmp(name, ".rodata") == 0)
                        f->rodata = s;
                else if (name && h.sh_type == SHT_NOTE && strcmp(name, ".note.stapsdt") == 0)
                        f->notes = s;
        }
        return 0;
}

static Elf_Data *section_data(Elf_Scn *s) {
        Elf_Data *d = s ? elf_getdata(s, NULL) : NULL;

        return d && d->d_buf && d->d_size > 0 ? d : NULL;
}

/* The string table of a symbol table, checked to end in a NUL, so that every name in it ends. */
static Elf_Data *strings_of(struct file *f, const GElf_Shdr *symbols, size_t max) {
        Elf_Scn *s = elf_getscn(f->elf, symbols->sh_link);
        GElf_Shdr h;
        Elf_Data *d;

        if (!s || !gelf_getshdr(s, &h) || h.sh_type != SHT_STRTAB || h.sh_size > max)
                return NULL;
        d = section_data(s);
        return d && ((const char *)d->d_buf)[d->d_size - 1] == '\0' ? d : NULL;
}

static void symbol_take(struct file *f, const char *name, const GElf_Sym *symbol) {
        if (symbol->st_shndx == SHN_UNDEF || symbol->st_shndx == SHN_ABS || !segment_of(f, symbol->st_value))
                return;
        for (size_t i = 0; i < SYMBOL_NAME_MAX; i++)
                if (f->symbols[i] == 0 && strcmp(name, symbol_names[i]) == 0) {
                        f->symbols[i] = symbol->st_value;
                        if (i == SYMBOL_RUNTIME)
                                f->runtime_size = symbol->st_size;
                }
}

/* One pass, and none at all through a table whose strings do not hold the name of an interpreter's own function. */
static void symbols_read(struct file *f, Elf_Scn *section) {
        Elf_Data *symbols, *strings;
        GElf_Shdr h;
        size_t n;

        if (!section || !gelf_getshdr(section, &h) || h.sh_entsize == 0)
                return;
        strings = strings_of(f, &h, h.sh_type == SHT_SYMTAB ? SYMTAB_NAMES_MAX : SECTION_SIZE_MAX);
        if (!strings)
                return;
        if (!memmem(strings->d_buf, strings->d_size, symbol_names[SYMBOL_PROBE], strlen(symbol_names[SYMBOL_PROBE])) &&
            !memmem(strings->d_buf, strings->d_size, symbol_names[SYMBOL_PYPY], strlen(symbol_names[SYMBOL_PYPY])))
                return;
        symbols = section_data(section);
        n = symbols ? MIN(symbols->d_size / h.sh_entsize, SYMBOLS_MAX) : 0;
        for (size_t i = 0; i < n; i++) {
                const char *name;
                GElf_Sym symbol;

                if (!gelf_getsym(symbols, i, &symbol) || symbol.st_name >= strings->d_size)
                        continue;
                name = (const char *)strings->d_buf + symbol.st_name;
                if (name[0] == 'P' || name[0] == '_' || name[0] == 'p' || name[0] == 'i')
                        symbol_take(f, name, &symbol);
        }
}

static bool file_has_python(const struct file *f) {
        return f->symbols[SYMBOL_PROBE] != 0 || f->symbols[SYMBOL_PYPY] != 0 || f->runtime_section != 0 ||
               (f->symbols[SYMBOL_INITIALIZED] != 0 && f->symbols[SYMBOL_CODE_TYPE] != 0);
}

static int file_open(int fd, struct file *f) {
        Elf *elf;

        f->fd = fd;
        if (elf_version(EV_CURRENT) == EV_NONE)
                return -ENOTSUP;
        /* Read, never mapped: a file that is truncated meanwhile must not become SIGBUS. */
        elf = elf_begin(fd, ELF_C_READ, NULL);
        if (!elf)
                return -EBADMSG;
        f->elf = elf;
        if (elf_kind(elf) != ELF_K_ELF)
                return 0;
        if (!gelf_getehdr(elf, &f->header))
                return -EBADMSG;
        return segments_read(f);
}

static void image_addresses(struct image *m, const struct file *f) {
        const uint64_t *s = f->symbols;
        uint64_t code = s[SYMBOL_EVAL] ?: s[SYMBOL_EVAL_OLD] ?: s[SYMBOL_PROBE];
        const GElf_Phdr *p = segment_of(f, code);

        m->lowest = UINT64_MAX;
        for (size_t i = 0; i < f->segments_n; i++)
                m->lowest = MIN(m->lowest, f->segments[i].p_vaddr & ~PAGE_MASK);
        m->addresses.probe = s[SYMBOL_PROBE];
        m->addresses.runtime = m->number == 0x0306 ? s[SYMBOL_INTERP_HEAD] : s[SYMBOL_RUNTIME];
        m->addresses.code_type = s[SYMBOL_CODE_TYPE];
        if (p && (p->p_flags & PF_X)) {
                m->addresses.text_start = p->p_vaddr;
                m->addresses.text_end = p->p_vaddr + p->p_memsz;
        }
        p = segment_of(f, s[SYMBOL_PROBE]);
        if (s[SYMBOL_PROBE] != 0 && p && (p->p_flags & PF_X) && s[SYMBOL_PROBE] - p->p_vaddr < p->p_filesz)
                m->probe_offset = p->p_offset + (s[SYMBOL_PROBE] - p->p_vaddr);
}

/* Its own description comes first, then the constant of 3.11 and later, then the text that sys.version begins with. */
static void image_version(struct image *m, const struct file *f, uint8_t *description) {
        uint64_t word;

        if (f->symbols[SYMBOL_RUNTIME] != 0 &&
            file_read(f, f->symbols[SYMBOL_RUNTIME], description, OFFSETS_DESCRIPTION_SIZE) >= 0 &&
            memcmp(description, "xdebugpy", 8) == 0) {
                m->debug_offsets = f->symbols[SYMBOL_RUNTIME];
                memcpy(&word, description + 8, sizeof(word));
                if (version_from_hex(word, m->version, sizeof(m->version), &m->number) >= 0)
                        return;
        }
        if (f->symbols[SYMBOL_VERSION] != 0 && file_read(f, f->symbols[SYMBOL_VERSION], &word, sizeof(word)) >= 0 &&
            version_from_hex(word, m->version, sizeof(m->version), &m->number) >= 0)
                return;
        if (f->rodata) {
                Elf_Data *d = section_data(f->rodata);

                if (d)
                        version_from_text(d->d_buf, d->d_size, m->version, sizeof(m->version), &m->number);
        }
}

static void image_unsupported(struct image *m, const char *reason, const char *detail) {
        if (m->reason[0] == '\0')
                snprintf(m->reason, sizeof(m->reason), "%s%s", reason, detail);
}

static void image_offsets(struct image *m, const struct file *f, const uint8_t *description) {
        struct offsets_objects objects;
        int r;

        r = offsets_for_version(m->number, &m->target, &objects);
        if (r < 0) {
                char minor[16];

                snprintf(minor, sizeof(minor), "%d.%d", m->number >> 8, m->number & 0xff);
                image_unsupported(m, "no offsets for ", minor);
                return;
        }
        if (m->number >= 0x030d) {
                r = m->debug_offsets ? offsets_overlay(&m->target, &objects, description, OFFSETS_DESCRIPTION_SIZE)
                                     : -ENODATA;
                if (r > 0)
                        m->free_threaded = true;
                else if (r < 0)
                        image_unsupported(m, "implausible _Py_DebugOffsets", "");
        }
        /* What comes before tstate_current in _PyRuntime grew within 3.7 and 3.8; the variable's size tells. */
        if (m->number <= 0x030a && objects.runtime_size != f->runtime_size)
                m->target.runtime_tstate_current = TARGET_NONE;
        /* 3.6 has no _PyRuntime: two variables of the same image, one before or behind the other. */
        if (m->number == 0x0306 && f->symbols[SYMBOL_CURRENT] && f->symbols[SYMBOL_INTERP_HEAD])
                m->target.runtime_tstate_current =
                                (int32_t)(f->symbols[SYMBOL_CURRENT] - f->symbols[SYMBOL_INTERP_HEAD]);
}

static void image_judge(struct image *m, const struct file *f, const uint8_t *description) {
        static const enum symbol_name needed[] = {SYMBOL_PROBE, SYMBOL_CODE_TYPE, SYMBOL_RUNTIME};

        m->free_threaded = f->symbols[SYMBOL_FREE_THREADED] != 0;
        m->debug = f->symbols[SYMBOL_DEBUG] != 0;
        if (f->symbols[SYMBOL_PYPY] != 0)
                image_unsupported(m, "PyPy", "");
        else if (m->number >> 8 == 2)
                image_unsupported(m, "Python 2", "");
        else if (f->header.e_machine != EM_X86_64 || f->header.e_ident[EI_CLASS] != ELFCLASS64)
                image_unsupported(m, "not x86-64", "");
        else if (m->number == 0)
                image_unsupported(m, "unknown version", "");
        else if (version_is_early(m->version))
                image_unsupported(m, "pre-release ", m->version);
        else
                image_offsets(m, f, description);
        if (m->free_threaded)
                image_unsupported(m, "free-threaded build", "");
        if (m->debug)
                image_unsupported(m, "debug build", "");
        for (size_t i = 0; i < ARRAY_SIZE(needed); i++) {
                enum symbol_name s =
                                needed[i] == SYMBOL_RUNTIME && m->number == 0x0306 ? SYMBOL_INTERP_HEAD : needed[i];

                if (f->symbols[s] == 0)
                        image_unsupported(m, "no symbol ", symbol_names[s]);
        }
        if (m->addresses.text_end == 0)
                image_unsupported(m, "no executable segment", "");
        m->supported = m->reason[0] == '\0';
}

/* Adds `name` to the list unless it is there. */
static void usdt_add(struct image *m, const char *name, size_t length) {
        size_t used = strlen(m->usdt);

        for (size_t i = 0; i < length; i++)
                if (!isalnum((unsigned char)name[i]) && name[i] != '_')
                        return;
        if (length == 0 || used + length + 2 > sizeof(m->usdt))
                return;
        for (const char *at = m->usdt; (at = memmem(at, strlen(at), name, length)); at += length)
                if ((at == m->usdt || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0'))
                        return;
        if (used > 0)
                m->usdt[used++] = ' ';
        memcpy(m->usdt + used, name, length);
        m->usdt[used + length] = '\0';
}

/* Notes of SystemTap's SDT, type 3: three addresses, then provider, name and arguments as strings. */
static void image_usdt(struct image *m, const struct file *f) {
        size_t at = 0, name, text, next, skip = gelf_fsize(f->elf, ELF_T_ADDR, 3, EV_CURRENT);
        Elf_Data *d = section_data(f->notes);
        GElf_Nhdr h;

        while (d && at < d->d_size && (next = gelf_getnote(d, at, &h, &name, &text)) > at) {
                const char *provider = (const char *)d->d_buf + text + skip, *end, *probe;

                at = next;
                if (h.n_type != 3 || h.n_namesz != 8 || memcmp((char *)d->d_buf + name, "stapsdt", 8) != 0 ||
                    h.n_descsz <= skip)
                        continue;
                end = (const char *)d->d_buf + text + h.n_descsz;
                probe = memchr(provider, '\0', end - provider);
                if (!probe || strcmp(provider, "python") != 0)
                        continue;
                probe++;
                if (memchr(probe, '\0', end - probe))
                        usdt_add(m, probe, strlen(probe));
        }
}

int image_read(int fd, struct image *ret) {
        uint8_t description[OFFSETS_DESCRIPTION_SIZE] = {};
        _cleanup_(elf_endp) Elf *elf = NULL;
        struct image m = {};
        struct file f = {};
        int r;

        r = file_open(fd, &f);
        elf = f.elf;
        if (r < 0)
                return r;
        if (elf_kind(elf) == ELF_K_ELF) {
                r = sections_find(&f);
                if (r < 0)
                        return r;
                symbols_read(&f, f.dynsym);
                /* A static executable may export nothing; libraries are not asked twice. */
                if (!file_has_python(&f) && (f.interpreter || f.header.e_type == ET_EXEC))
                        symbols_read(&f, f.symtab);
                m.python = file_has_python(&f);
        }
        if (m.python) {
                m.shared = f.header.e_type == ET_DYN && !f.interpreter;
                /* interp_head, of 3.6, which has no _PyRuntime, is static. */
                if (f.symbols[SYMBOL_RUNTIME] == 0 || f.symbols[SYMBOL_CODE_TYPE] == 0 || f.symbols[SYMBOL_PROBE] == 0)
                        symbols_read(&f, f.symtab);
                if (f.symbols[SYMBOL_RUNTIME] == 0 && segment_of(&f, f.runtime_section))
                        f.symbols[SYMBOL_RUNTIME] = f.runtime_section;
                image_version(&m, &f, description);
                image_addresses(&m, &f);
                image_judge(&m, &f, description);
                image_usdt(&m, &f);
        }
        *ret = m;
        return 0;
}

struct image *image_ref(struct image *i) {
        if (i && i->refs)
                i->refs++;
        return i;
}

void image_unref(struct image *i) {
        if (i && i->refs && --i->refs == 0)
                free(i);
}

static bool segment_maps(const GElf_Phdr *p, uint64_t offset) {
        return p->p_filesz > 0 && offset >= (p->p_offset & ~PAGE_MASK) && offset < p->p_offset + p->p_filesz;
}

int image_bias(int fd, uint64_t map_start, uint64_t map_offset, uint64_t *ret_bias) {
        _cleanup_(elf_endp) Elf *elf = NULL;
        const GElf_Phdr *found = NULL;
        struct file f = {};
        int r;

        r = file_open(fd, &f);
        elf = f.elf;
        if (r < 0)
                return r;
        /* Neighbours may share a page of the file: then the executable one is meant, of which callers know mappings. */
        for (size_t i = 0; i < f.segments_n; i++)
                if (segment_maps(f.segments + i, map_offset) && (!found || !(found->p_flags & PF_X)))
                        if (!found || (f.segments[i].p_flags & PF_X))
                                found = f.segments + i;
        if (!found)
                return -ENOENT;
        *ret_bias = map_start - (found->p_vaddr & ~PAGE_MASK) - (map_offset - (found->p_offset & ~PAGE_MASK));
        return 0;
}
