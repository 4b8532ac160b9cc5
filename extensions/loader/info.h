/* SPDX-License-Identifier: GPL-2.0-only */
/* Descriptions of programs, maps, links and errors. */
#ifndef KEXT_INFO_H
#define KEXT_INFO_H

#include <bpf/bpf.h>
#include <stddef.h>
#include <stdint.h>

/* Name a type as the kernel does; `buf` is for the number of a type that libbpf does not know. */
const char *program_type(uint32_t type, char *buf, size_t size);
const char *map_type(uint32_t type, char *buf, size_t size);
const char *link_type(uint32_t type, char *buf, size_t size);
const char *error_text(int error); /* valid until the next call */
int program_info(int descriptor, struct bpf_prog_info *info);
int map_info(int descriptor, struct bpf_map_info *info);
uint32_t link_id(int descriptor);

#endif
