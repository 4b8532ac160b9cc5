// SPDX-License-Identifier: GPL-2.0-only
/* Ask the kernel about programs, maps and links. */
#include "info.h"

#include <bpf/libbpf.h>
#include <stdio.h>
#include <string.h>

static const char *word_or_number(const char *word, uint32_t type, char *buf, size_t size)
{
	if (word)
		return word;
	snprintf(buf, size, "type_%u", type);
	return buf;
}

const char *program_type(uint32_t type, char *buf, size_t size)
{
	return word_or_number(libbpf_bpf_prog_type_str(type), type, buf, size);
}

const char *map_type(uint32_t type, char *buf, size_t size)
{
	return word_or_number(libbpf_bpf_map_type_str(type), type, buf, size);
}

const char *link_type(uint32_t type, char *buf, size_t size)
{
	return word_or_number(libbpf_bpf_link_type_str(type), type, buf, size);
}

const char *error_text(int error)
{
	static char text[128];

	if (error == 524 || error == -524) /* ENOTSUPP, which only the kernel has */
		return "not supported";
	/* libbpf_strerror also knows libbpf's own errors, from 4000 on. */
	libbpf_strerror(error < 0 ? -error : error, text, sizeof(text));
	return text;
}

int program_info(int descriptor, struct bpf_prog_info *info)
{
	uint32_t size = sizeof(*info);

	memset(info, 0, sizeof(*info));
	return bpf_obj_get_info_by_fd(descriptor, info, &size);
}

int map_info(int descriptor, struct bpf_map_info *info)
{
	uint32_t size = sizeof(*info);

	memset(info, 0, sizeof(*info));
	return bpf_obj_get_info_by_fd(descriptor, info, &size);
}

uint32_t link_id(int descriptor)
{
	struct bpf_link_info info;
	uint32_t size = sizeof(info);

	memset(&info, 0, sizeof(info));
	if (descriptor < 0 || bpf_obj_get_info_by_fd(descriptor, &info, &size))
		return 0;
	return info.id;
}
