// SPDX-License-Identifier: GPL-2.0-only
/* Run one program with BPF_PROG_TEST_RUN. */
#include "answer.h"
#include "cpus.h"
#include "frame.h"
#include "info.h"
#include "verbs.h"

#include <errno.h>
#include <limits.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

#define MAX_DATA ((size_t)256 << 10)
#define DEFAULT_SIZE 64
/* Programs may grow a packet; the kernel answers ENOSPC if this is not enough. */
#define GROWTH 4096
/* A raw tracepoint program gets up to 12 arguments of 8 bytes; zeros unless the user gives some. */
#define RAW_ARGUMENTS (12 * 8)

struct buffers {
	uint8_t *in, *out, *context;
	size_t size, context_size;
};

static void free_buffers(struct buffers *buffers)
{
	free(buffers->in);
	free(buffers->out);
	free(buffers->context);
}

static int from_hex(const char *key, const char *text, uint8_t **bytes, size_t *size,
		    struct json *answer)
{
	*size = strlen(text) / 2;
	if (*size > MAX_DATA)
		return fail(answer, "command", E2BIG, "%s is longer than %zu bytes", key,
			    MAX_DATA);
	*bytes = calloc(1, *size ? *size : 1);
	if (!*bytes)
		return fail(answer, "run", ENOMEM, "no memory");
	if (!parse_hex(text, *bytes, *size))
		return fail(answer, "command", EINVAL, "%s is not whole bytes in hex", key);
	return 0;
}

static bool takes_packets(const struct program *program)
{
	switch (program->type) {
	case BPF_PROG_TYPE_XDP:
	case BPF_PROG_TYPE_SCHED_CLS:
	case BPF_PROG_TYPE_SCHED_ACT:
	case BPF_PROG_TYPE_SOCKET_FILTER:
	case BPF_PROG_TYPE_CGROUP_SKB:
	case BPF_PROG_TYPE_LWT_IN:
	case BPF_PROG_TYPE_LWT_OUT:
	case BPF_PROG_TYPE_LWT_XMIT:
	case BPF_PROG_TYPE_FLOW_DISSECTOR:
		return true;
	default:
		return false;
	}
}

/* Allocate a packet for program types that take one; others get it only if the user gives data. */
static int make_buffers(struct buffers *buffers, const struct program *program,
			const struct command *command, struct json *answer)
{
	const char *data = command_value(command, "data");
	const char *context = command_value(command, "ctx");
	uint64_t size;

	if (data && command_value(command, "size"))
		return fail(answer, "command", EINVAL, "either data or size");
	if (command_number(command, "size", 1, MAX_DATA, takes_packets(program) ? DEFAULT_SIZE : 0,
			   &size, answer))
		return -1;
	if (context && from_hex("ctx", context, &buffers->context, &buffers->context_size, answer))
		return -1;
	if (!context && program->type == BPF_PROG_TYPE_RAW_TRACEPOINT) {
		buffers->context_size = RAW_ARGUMENTS;
		buffers->context = calloc(1, RAW_ARGUMENTS);
		if (!buffers->context)
			return fail(answer, "run", ENOMEM, "no memory");
	}
	if (data) {
		if (from_hex("data", data, &buffers->in, &buffers->size, answer))
			return -1;
	} else if (size) {
		buffers->in = calloc(1, size);
		buffers->size = size;
		if (buffers->in)
			make_frame(buffers->in, size, 9); /* port: discard */
	}
	if (buffers->size) {
		buffers->out = calloc(1, buffers->size + GROWTH);
		if (!buffers->in || !buffers->out)
			return fail(answer, "run", ENOMEM, "no memory");
	}
	return 0;
}

/* Run it on a CPU: raw tracepoints by a flag, the others on the caller's CPU. */
static int call_on(const struct program *program, int cpu, struct bpf_test_run_opts *options)
{
	cpu_set_t before;
	int error;

	if (cpu < 0)
		return bpf_prog_test_run_opts(program->fd, options);
	if (program->type == BPF_PROG_TYPE_RAW_TRACEPOINT) {
		options->flags = BPF_F_TEST_RUN_ON_CPU;
		options->cpu = (uint32_t)cpu;
		return bpf_prog_test_run_opts(program->fd, options);
	}
	if (sched_getaffinity(0, sizeof(before), &before))
		return -errno;
	error = run_on_cpu(cpu);
	if (error)
		return error;
	error = bpf_prog_test_run_opts(program->fd, options);
	sched_setaffinity(0, sizeof(before), &before);
	return error;
}

void verb_run(struct loader *loader, const struct command *command, struct json *answer)
{
	LIBBPF_OPTS(bpf_test_run_opts, options);
	struct handle *handle = find_handle(loader, command, answer);
	struct buffers buffers = { 0 };
	const struct program *program;
	uint64_t repeat, cpu, out;
	int error;

	program = handle ? find_program(handle, command, answer) : NULL;
	if (!program || command_number(command, "repeat", 0, INT_MAX, 0, &repeat, answer) ||
	    command_number(command, "cpu", 0, MAX_CPUS - 1, 0, &cpu, answer) ||
	    command_number(command, "out", 0, 1, 0, &out, answer))
		return;
	if (make_buffers(&buffers, program, command, answer)) {
		free_buffers(&buffers);
		return;
	}
	options.data_in = buffers.in;
	options.data_size_in = (uint32_t)buffers.size;
	options.data_out = buffers.out;
	options.data_size_out = buffers.out ? (uint32_t)(buffers.size + GROWTH) : 0;
	options.ctx_in = buffers.context;
	options.ctx_size_in = (uint32_t)buffers.context_size;
	options.repeat = (int)repeat;
	error = call_on(program, command_value(command, "cpu") ? (int)cpu : -1, &options);
	if (error) {
		fail(answer, "run", error, "%s: not run: %s", program->name, error_text(error));
	} else {
		json_unsigned(answer, "retval", options.retval);
		json_unsigned(answer, "duration_ns", options.duration);
		if (buffers.out && (out || options.data_size_out != buffers.size ||
				    memcmp(buffers.in, buffers.out, buffers.size)))
			json_hex(answer, "data_out", buffers.out, options.data_size_out);
	}
	free_buffers(&buffers);
}
