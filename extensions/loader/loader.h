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

/*
 * What was loaded, of either kind: the verbs look at these, and ask libbpf only
 * for what a C object alone has.
 */
struct program {
	char *name;    /* whole; the kernel keeps 15 characters of it */
	char *section; /* of its file */
	char *bound;   /* the function that it was bound to at load (fentry), or NULL */
	char *target;  /* where its file says that it goes, as in `to=`, or NULL */
	uint32_t type;
	int fd;                     /* -1: left out by autoload= */
	struct bpf_program *libbpf; /* NULL: a Rex program */
};

struct map {
	char *name;
	uint32_t type, key_size, value_size, max_entries;
	int fd; /* -1: not created */
	struct bpf_map *libbpf; /* NULL: a Rex image's */
};

/* A program attached to one place. */
struct attachment {
	struct attachment *next;
	char *program;
	char *target; /* as in `to=`, with its kind in front */
	uint32_t id;  /* of the first link, 0 if the kernel gives none */
	/* Descriptors of links: one, or for perf events one per CPU. */
	int *links;
	size_t link_count;
	struct bpf_link *libbpf_link; /* where only libbpf knew how to attach, or NULL */
	/* tc is no link: what bpf_tc_detach must be told. */
	struct bpf_tc_hook tc_hook;
	struct bpf_tc_opts tc_filter;
};

/* One program's share of the verifier's log. */
struct verifier_log {
	char *text; /* mmapped, so that pages which the kernel does not write cost nothing */
	size_t room;
};

/* A loaded file under the name that its user chose. */
struct handle {
	struct handle *next;
	char *name;
	char *path;
	struct bpf_object *object; /* NULL: a Rex image, whose descriptors are the handle's own */
	struct program *programs;
	size_t program_count;
	struct map *maps;
	size_t map_count;
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
void verb_inventory(struct loader *loader, const struct command *command, struct json *answer);

/* Whole commands of their own; the result is the exit status. */
int do_command(int count, char **words); /* the one that `words[1]` names */
int serve(void);
int ledger(void);
int inventory(void);
int alive(char **words);
int park(void);
int watch_for_host(char **words);
int kernel_log(char **words);
int peek(char **words);

/* handle.c: NULL with a bad answer begun if there is none of that name. */
struct handle *find_handle(struct loader *loader, const struct command *command,
			   struct json *answer);
const struct program *find_program(const struct handle *handle, const struct command *command,
				   struct json *answer);
const struct map *find_map(const struct handle *handle, const struct command *command,
			   struct json *answer);
struct handle *handle_named(struct loader *loader, const char *name);
struct handle *new_handle(const struct command *command);
/* Room for so many, zeroed, without descriptors: 0 or -ENOMEM. */
int make_room(struct handle *handle, size_t programs, size_t maps);
void free_handle(struct handle *handle);
void unload_all(struct loader *loader);

/* messages.c: libbpf's warnings since the last `forget_messages`, the last 16 KiB of them. */
const char *libbpf_messages(void);
void forget_messages(void);
void keep_messages(void);
/* The line of it that says why a load failed, without "libbpf: "; false if there is none. */
bool libbpf_reason(char *reason, size_t size);

/* calls.c: a bpf(2) call. */
struct bpf_call {
	int command; /* -1: none was made */
	int error;   /* errno; 0: it succeeded */
	const char *log; /* of BPF_PROG_LOAD: where the verifier writes its log, or NULL */
};
void forget_calls(void);
const struct bpf_call *last_call(void);
const struct bpf_call *last_logged_load(void); /* the last BPF_PROG_LOAD with a log */

/* failure.c: where a load failed. */
struct failure {
	const char *stage; /* btf, map, relocate, permission, verify or load */
	const struct bpf_program *program; /* NULL: none of the object's was tried */
	const char *log; /* that program's; "" if the kernel wrote none */
	int error; /* errno */
};
/* Of `bpf_object__load`, which returned `error`; `logs` has one for each program. */
void find_failure(struct failure *failure, struct bpf_object *object,
		  const struct verifier_log *logs, int error);
/* Begin a bad answer. */
void report_failure_to_load(const struct failure *failure, const char *path, struct json *answer);
/* Does a log have more than statistics? (At the level that prints no trace.) */
bool has_complaint(const char *log);

/*
 * load.c, rex_load.c: open and load the handle's file. 0, and the log is in the
 * answer; or -1 with a bad answer begun.
 */
int load_object(struct handle *handle, const struct command *command, struct json *answer);
int load_image(struct handle *handle, const struct command *command, struct json *answer);
/* rex_image.c: does the file's content, not its name, say that it is a Rex image? */
bool is_image(const char *path);
/* sections.c: the programs and maps of a C object, as the verbs see them. 0 or -ENOMEM. */
int list_object(struct handle *handle, const char *targets);
/* rex_stats.c: how often what became of a Rex program's runs. 0, or -1 with a bad answer begun. */
int add_outcomes(const struct program *program, uint32_t id, struct json *answer);

/* attach.c: takes over a link's descriptor, or passes on a negative errno. */
int keep_link(struct attachment *attachment, int link);
void detach_all(struct handle *handle);
/* events.c: by way of perf events. 0 or -errno; `cpu` < 0: on all of them. */
int attach_kprobe(struct attachment *attachment, int program, const char *place, bool at_return);
int attach_tracepoint(struct attachment *attachment, int program, const char *place);
int attach_perf(struct attachment *attachment, int program, const char *event, int cpu);
/* net.c: 0 or -errno. */
int attach_xdp(struct attachment *attachment, int program, const char *device);
int attach_tc(struct attachment *attachment, int program, const char *where);
void detach_tc(struct attachment *attachment);
/* netlink.c: calls `found` for each tc filter of kind bpf on a device's clsact qdisc. */
typedef void (*tc_found)(void *context, int ifindex, const char *kind, uint32_t program);
int tc_filters(int ifindex, tc_found found, void *context);

/* ringbuf.c: takes up to `limit` samples out of a ring buffer. */
void read_ring(const struct map *map, uint64_t limit, struct json *answer);
/* maps.c: one value, in hex and, where its size is a number's, as one. */
void describe_value(struct json *answer, const uint8_t *value, size_t size);

/* kmsg.c: where the kernel's log ends now, and its lines since then that begin with `prefix`. */
int kernel_log_open(void); /* a descriptor, or -errno */
char *kernel_log_lines(int log, const char *prefix); /* to be freed; NULL: no memory */

/* info.c: the kernel's own words; the number as text where libbpf has no word. */
const char *program_type(uint32_t type, char *room, size_t size);
const char *map_type(uint32_t type, char *room, size_t size);
const char *link_type(uint32_t type, char *room, size_t size);
const char *error_text(int error); /* valid until the next call */
int program_info(int descriptor, struct bpf_prog_info *info);
int map_info(int descriptor, struct bpf_map_info *info);
uint32_t link_id(int descriptor);

#endif
