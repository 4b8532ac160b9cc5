// SPDX-License-Identifier: GPL-2.0-only
/* Perf events: "software/NAME@HERTZ" or "hardware/NAME@HERTZ" (an emulated CPU has none). */
#include "loader.h"

#include <errno.h>
#include <linux/perf_event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

static const struct {
	const char *name;
	uint32_t type;
	uint64_t config;
} events[] = {
	{ "software/cpu-clock", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_CLOCK },
	{ "software/task-clock", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_TASK_CLOCK },
	{ "software/page-faults", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_PAGE_FAULTS },
	{ "software/context-switches", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CONTEXT_SWITCHES },
	{ "software/cpu-migrations", PERF_TYPE_SOFTWARE, PERF_COUNT_SW_CPU_MIGRATIONS },
	{ "hardware/cpu-cycles", PERF_TYPE_HARDWARE, PERF_COUNT_HW_CPU_CYCLES },
	{ "hardware/instructions", PERF_TYPE_HARDWARE, PERF_COUNT_HW_INSTRUCTIONS },
};

static int parse_event(const char *event, struct perf_event_attr *attributes)
{
	size_t length = strcspn(event, "@"), i;
	uint64_t frequency = 100;

	if (event[length] && (!parse_unsigned(event + length + 1, &frequency) || !frequency))
		return -EINVAL;
	for (i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
		if (strlen(events[i].name) != length || memcmp(events[i].name, event, length))
			continue;
		memset(attributes, 0, sizeof(*attributes));
		attributes->size = sizeof(*attributes);
		attributes->type = events[i].type;
		attributes->config = events[i].config;
		attributes->freq = 1;
		attributes->sample_freq = frequency;
		return 0;
	}
	return -EINVAL;
}

static int attach_on_cpu(struct attachment *attachment, struct bpf_program *program,
			 struct perf_event_attr *attributes, int cpu)
{
	int descriptor = (int)syscall(SYS_perf_event_open, attributes, -1, cpu, -1,
				      PERF_FLAG_FD_CLOEXEC);
	struct bpf_link *link;
	int error;

	if (descriptor < 0)
		return -errno;
	link = bpf_program__attach_perf_event(program, descriptor);
	error = libbpf_get_error(link);
	if (error) {
		close(descriptor);
		return error;
	}
	/* The link owns the event's descriptor from here on. */
	attachment->links[attachment->link_count++] = link;
	return 0;
}

int attach_perf(struct attachment *attachment, struct bpf_program *program, const char *event,
		int cpu)
{
	struct perf_event_attr attributes;
	int cpus[MAX_CPUS], count, i;
	int error = parse_event(event, &attributes);

	if (error)
		return error;
	if (cpu >= 0) {
		cpus[0] = cpu;
		count = 1;
	} else {
		count = cpus_online(cpus, MAX_CPUS);
		if (count < 0)
			return count;
	}
	attachment->links = calloc((size_t)count, sizeof(struct bpf_link *));
	if (!attachment->links)
		return -ENOMEM;
	for (i = 0; i < count && !error; i++)
		error = attach_on_cpu(attachment, program, &attributes, cpus[i]);
	return error; /* the caller destroys the links that were made */
}
