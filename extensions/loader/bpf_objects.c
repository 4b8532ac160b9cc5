// SPDX-License-Identifier: GPL-2.0-only
/* `kextload bpf-objects`: list all BPF objects in the kernel by id. */
#include "answer.h"
#include "attach.h"
#include "info.h"
#include "inventory.h"
#include "kextload.h"

#include <errno.h>
#include <ftw.h>
#include <net/if.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BPF_FS "/sys/fs/bpf"
/* tcx came with 6.6; the numbers are kernel ABI, older headers lack the names. */
#define TCX_INGRESS 46
#define TCX_EGRESS 47

static struct json *line; /* global, because nftw passes no context to its callback */

typedef int (*next_id)(uint32_t start, uint32_t *next);
typedef int (*open_id)(uint32_t id);
typedef void (*describe)(int descriptor, uint32_t id);

static void describe_program(int descriptor, uint32_t id)
{
	struct bpf_prog_info info;
	char buf[32];

	json_unsigned(line, "id", id);
	if (program_info(descriptor, &info))
		return;
	json_string(line, "name", info.name);
	json_string(line, "type", program_type(info.type, buf, sizeof(buf)));
}

static void describe_map(int descriptor, uint32_t id)
{
	struct bpf_map_info info;
	char buf[32];

	json_unsigned(line, "id", id);
	if (map_info(descriptor, &info))
		return;
	json_string(line, "name", info.name);
	json_string(line, "type", map_type(info.type, buf, sizeof(buf)));
}

static void describe_link(int descriptor, uint32_t id)
{
	struct bpf_link_info info;
	uint32_t size = sizeof(info);
	char buf[32];

	memset(&info, 0, sizeof(info));
	json_unsigned(line, "id", id);
	if (bpf_obj_get_info_by_fd(descriptor, &info, &size))
		return;
	json_string(line, "type", link_type(info.type, buf, sizeof(buf)));
	json_unsigned(line, "prog_id", info.prog_id);
}

static void describe_btf(int descriptor, uint32_t id)
{
	char name[64] = "";
	struct bpf_btf_info info;
	uint32_t size = sizeof(info);

	memset(&info, 0, sizeof(info));
	info.name = (uint64_t)(uintptr_t)name;
	info.name_len = sizeof(name);
	json_unsigned(line, "id", id);
	if (bpf_obj_get_info_by_fd(descriptor, &info, &size))
		return;
	json_string(line, "name", name);
	json_bool(line, "kernel", info.kernel_btf);
}

/* Add one array: all objects of a kind. Returns 0 or -errno. */
static int all_of(const char *key, next_id next, open_id open, describe describe_one)
{
	uint32_t id = 0;

	json_open(line, key, '[');
	while (!next(id, &id)) {
		int descriptor = open(id);

		if (descriptor < 0) {
			if (errno == ENOENT)
				continue; /* it is gone meanwhile */
			return -errno;
		}
		json_open(line, NULL, '{');
		describe_one(descriptor, id);
		json_close(line, '}');
		close(descriptor);
	}
	if (errno != ENOENT)
		return -errno;
	json_close(line, ']');
	return 0;
}

static void add_net(void *context, int ifindex, const char *kind, uint32_t program)
{
	const char *name = context;

	json_open(line, NULL, '{');
	json_signed(line, "ifindex", ifindex);
	json_string(line, "ifname", name);
	json_string(line, "kind", kind);
	json_unsigned(line, "prog_id", program);
	json_close(line, '}');
}

static void add_tcx(int ifindex, const char *name, int side, const char *kind)
{
	uint32_t programs[16], count = 16, i;

	/* An error means that the kernel has no tcx, or nothing is attached. */
	if (bpf_prog_query(ifindex, (enum bpf_attach_type)side, 0, NULL, programs, &count))
		return;
	for (i = 0; i < count; i++)
		add_net((void *)(uintptr_t)name, ifindex, kind, programs[i]);
}

static int add_device(int ifindex, char *name)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, xdp);
	uint32_t ids[3], i;
	int error = bpf_xdp_query(ifindex, 0, &xdp);

	if (error)
		return error == -ENODEV ? 0 : error;
	ids[0] = xdp.drv_prog_id;
	ids[1] = xdp.skb_prog_id;
	ids[2] = xdp.hw_prog_id;
	for (i = 0; i < 3; i++)
		if (ids[i])
			add_net(name, ifindex, "xdp", ids[i]);
	add_tcx(ifindex, name, TCX_INGRESS, "tcx-ingress");
	add_tcx(ifindex, name, TCX_EGRESS, "tcx-egress");
	return tc_filters(ifindex, add_net, name);
}

static int all_net(void)
{
	struct if_nameindex *devices = if_nameindex(), *device;
	int error = 0;

	if (!devices)
		return -errno;
	json_open(line, "net", '[');
	for (device = devices; device->if_index && !error; device++)
		error = add_device((int)device->if_index, device->if_name);
	json_close(line, ']');
	if_freenameindex(devices);
	return error;
}

static int add_pin(const char *path, const struct stat *status, int type, struct FTW *where)
{
	(void)status;
	(void)where;
	if (type == FTW_F || type == FTW_SL)
		json_string(line, NULL, path);
	return 0;
}

static void all_pins(void)
{
	json_open(line, "pins", '[');
	if (!access(BPF_FS, F_OK))
		nftw(BPF_FS, add_pin, 8, FTW_PHYS | FTW_MOUNT);
	json_close(line, ']');
}

int add_bpf_objects(struct json *answer)
{
	const char *stage;
	int error;

	line = answer;
	stage = "programs";
	error = all_of(stage, bpf_prog_get_next_id, bpf_prog_get_fd_by_id, describe_program);
	if (!error) {
		stage = "maps";
		error = all_of(stage, bpf_map_get_next_id, bpf_map_get_fd_by_id, describe_map);
	}
	if (!error) {
		stage = "links";
		error = all_of(stage, bpf_link_get_next_id, bpf_link_get_fd_by_id, describe_link);
	}
	if (!error) {
		stage = "btfs";
		error = all_of(stage, bpf_btf_get_next_id, bpf_btf_get_fd_by_id, describe_btf);
	}
	if (!error) {
		stage = "net";
		error = all_net();
	}
	if (error)
		return fail(line, stage, error, "the list of %s can't be read: %s", stage,
			    error_text(error));
	all_pins();
	return 0;
}

int bpf_objects(void)
{
	struct json answer = { 0 };
	int error;

	answer_ok(&answer);
	error = add_bpf_objects(&answer);
	answer_send(&answer);
	json_free(&answer);
	return error ? 1 : 0;
}
