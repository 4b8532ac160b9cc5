// SPDX-License-Identifier: GPL-2.0-only
/*
 * Safe, and rejected: counts the words in a text of 4096 bytes in a map.
 *
 * Each byte causes at least two branches, and the verifier can postpone at most
 * 8192 of them.
 */
#include "kext.h"

#define LENGTH 4096

struct text {
	char bytes[LENGTH];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct text);
} texts SEC(".maps");

static __always_inline bool is_blank(char character)
{
	return character == ' ' || character == '\n' || character == '\t';
}

SEC("xdp")
int count_words(struct xdp_md *ctx)
{
	__u32 zero = 0, words = 0;
	struct text *text = bpf_map_lookup_elem(&texts, &zero);

	if (!text)
		return 0;
	for (int i = 0; i < LENGTH; i++)
		if (!is_blank(text->bytes[i]) && (i == 0 || is_blank(text->bytes[i - 1])))
			words++;
	return words;
}
