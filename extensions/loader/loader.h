/* SPDX-License-Identifier: GPL-2.0-only */
/* What `kextload serve` holds, and the verbs that work on it. */
#ifndef KEXT_LOADER_H
#define KEXT_LOADER_H

#include "command.h"
#include "cpus.h"
#include "json.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <net/if.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A program attached to one place. */
struct attachment {
	struct attachment *next;
	char *program;
	char *target; /* as in `to=`, with its kind in front */
	uint32_t id;  /* of the first link, 0 if the kernel gives none */
	/* Links that libbpf keeps: one, or for perf events one per CPU. */
	struct bpf_link **links;
	size_t link_count;
	int link_fd; /* a link that libbpf does not know (XDP in generic mode), or -1 */
	/* tc is no link: what bpf_tc_detach must be told. */
	struct bpf_tc_hook tc_hook;
	struct bpf_tc_opts tc_filter;
};

/* One program's share of the verifier's log. */
struct verifier_log {
	char *text; /* mmapped, so that pages which the kernel does not write cost nothing */
	size_t room;
};

/* A loaded object file under the name that its user chose. */
struct handle {
	struct handle *next;
	char *name;
	char *path;
	char *targets; /* `target=` of load: program:function,...; NULL if not given */
	struct bpf_object *object;
	struct attachment *attachments;
};

struct loader {
	struct handle *handles;
	int stats_fd; /* run counts are kept by the kernel while this is open; -1 if it refused */
};

/* Verbs: the answer is begun, a bad one by `fail`; the caller sends it. */
void verb_load(struct loader *loader, const struct command *command, struct json *answer);
void verb_unload(struct loader *loader, const struct command *command, struct json *answer);
void verb_list(struct loader *loader, const struct command *command, struct json *answer);
void verb_attach(struct loader *loader, const struct command *command, struct json *answer);
void verb_detach(struct loader *loader, const struct command *command, struct json *answer);
void verb_run(struct loader *loader, const struct command *command, struct json *answer);
void verb_read(struct loader *loader, const struct command *command, struct json *answer);
void verb_write(struct loader *loader, const struct command *command, struct json *answer);
void verb_stats(struct loader *loader, const struct command *command, struct json *answer);
void verb_pin(struct loader *loader, const struct command *command, struct json *answer);
void verb_unpin(struct loader *loader, const struct command *command, struct json *answer);

/* Whole commands of their own; the result is the exit status. */
int serve(void);
int ledger(void);
int alive(char **words);
int park(void);

/* objects.c: NULL with a bad answer begun if there is none of that name. */
struct handle *find_handle(struct loader *loader, const struct command *command,
			   struct json *answer);
struct bpf_program *find_program(const struct handle *handle, const struct command *command,
				 struct json *answer);
struct bpf_map *find_map(const struct handle *handle, const struct command *command,
			 struct json *answer);
void unload_all(struct loader *loader);
/* What libbpf warned of since the last `forget_messages`, at most 16 KiB. */
const char *libbpf_messages(void);
void forget_messages(void);
void keep_messages(void);

/* load.c: opens and loads `path`; NULL with a bad answer begun. Adds the log to a good one. */
struct bpf_object *load_object(const struct command *command, struct json *answer);

/* attach.c */
void detach_all(struct handle *handle);
/* perf.c: one perf event per CPU (`cpu` < 0: all of them). 0 or -errno. */
int attach_perf(struct attachment *attachment, struct bpf_program *program, const char *event,
		int cpu);
/* net.c: 0 or -errno. */
int attach_xdp(struct attachment *attachment, struct bpf_program *program, const char *device);
int attach_tc(struct attachment *attachment, struct bpf_program *program, const char *where);
void detach_tc(struct attachment *attachment);
/* netlink.c: calls `found` for each tc filter of kind bpf on a device's clsact qdisc. */
typedef void (*tc_found)(void *context, int ifindex, const char *kind, uint32_t program);
int tc_filters(int ifindex, tc_found found, void *context);

/* info.c: the kernel's own words; the number as text where libbpf has no word. */
const char *program_type(uint32_t type, char *room, size_t size);
const char *map_type(uint32_t type, char *room, size_t size);
const char *link_type(uint32_t type, char *room, size_t size);
const char *error_text(int error); /* valid until the next call */
int program_info(int descriptor, struct bpf_prog_info *info);
int map_info(int descriptor, struct bpf_map_info *info);
uint32_t link_id(int descriptor);

#endif
