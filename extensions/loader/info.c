// SPDX-License-Identifier: GPL-2.0-only
/* What the kernel says of programs, maps and links. */
#include "loader.h"

#include <stdio.h>
#include <string.h>

static const char *word_or_number(const char *word, uint32_t type, char *room, size_t size)
{
	if (word)
		return word;
	snprintf(room, size, "type_%u", type);
	return room;
}

const char *program_type(uint32_t type, char *room, size_t size)
{
	return word_or_number(libbpf_bpf_prog_type_str(type), type, room, size);
}

const char *map_type(uint32_t type, char *room, size_t size)
{
	return word_or_number(libbpf_bpf_map_type_str(type), type, room, size);
}

const char *link_type(uint32_t type, char *room, size_t size)
{
	return word_or_number(libbpf_bpf_link_type_str(type), type, room, size);
}

const char *error_text(int error)
{
	static char room[128];

	if (error == 524 || error == -524) /* ENOTSUPP, which only the kernel has */
		return "not supported";
	/* libbpf counts its own errors from 4000. */
	libbpf_strerror(error < 0 ? -error : error, room, sizeof(room));
	return room;
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
