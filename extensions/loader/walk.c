// SPDX-License-Identifier: GPL-2.0-only
/* List folders of the kernel's file systems by name, without a call for each file. */
#include "inventory.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The kernel's record format of getdents64(2). */
struct record {
	uint64_t inode;
	int64_t offset;
	unsigned short length;
	unsigned char type;
	char name[];
};

struct walk {
	struct json *answer;
	const char *skip;  /* whole paths, separated by commas */
	const char *only;  /* the folders that may be listed, or NULL: all */
	const char *count; /* a file whose number follows the name of a folder `:...`, or NULL */
	bool inodes, links;
	bool here;      /* an entry of the current folder may be skipped */
	size_t numbers; /* length of the path of the folder whose numbers are skipped, or 0 */
	int error;      /* errno, if a part could not be listed */
	char path[PATH_MAX];
};

static bool is_number(const char *name)
{
	return name[0] && name[strspn(name, "0123456789")] == '\0';
}

/* True if the list of skipped paths names an entry of the current folder. */
static bool skips_in(const struct walk *walk)
{
	size_t length = strlen(walk->path);
	const char *at = walk->skip;

	while ((at = strstr(at, walk->path))) {
		if (at[length] == '/')
			return true;
		at += length;
	}
	return false;
}

/* True if the current path with `name` at its end is skipped. */
static bool is_skipped(struct walk *walk, size_t length, const char *name)
{
	bool skipped;

	if (length == walk->numbers && is_number(name))
		return true;
	if (!walk->here)
		return false;
	snprintf(walk->path + length, sizeof(walk->path) - length, "/%s", name);
	skipped = word_in_list(walk->path, walk->skip, ',');
	walk->path[length] = '\0';
	return skipped;
}

/* Read the number in FOLDER/NAME/COUNT, as text; false if there is none. */
static bool read_count(int folder, const char *name, const char *count, char *text, size_t size)
{
	char path[NAME_MAX * 2];
	ssize_t length = -1;
	int file;

	snprintf(path, sizeof(path), "%s/%s", name, count);
	file = openat(folder, path, O_RDONLY | O_CLOEXEC);
	if (file < 0)
		return false;
	length = read(file, text, size - 1);
	close(file);
	if (length <= 0)
		return false;
	text[length] = '\0';
	text[strcspn(text, "\n")] = '\0';
	return true;
}

/* Add one entry: `NAME`, with its inode, a link's target or a folder's number if requested. */
static void add_entry(struct walk *walk, int folder, const struct record *record)
{
	char text[NAME_MAX + PATH_MAX + 64], more[PATH_MAX];
	ssize_t length;

	if (walk->inodes) {
		snprintf(text, sizeof(text), "%llu %s", (unsigned long long)record->inode,
			 record->name);
	} else if (walk->links && record->type == DT_LNK) {
		length = readlinkat(folder, record->name, more, sizeof(more) - 1);
		more[length < 0 ? 0 : length] = '\0';
		snprintf(text, sizeof(text), "%s -> %s", record->name, more);
	} else if (walk->count && record->type == DT_DIR && record->name[0] == ':' &&
		   read_count(folder, record->name, walk->count, more, 32)) {
		snprintf(text, sizeof(text), "%s = %s", record->name, more);
	} else {
		snprintf(text, sizeof(text), "%s", record->name);
	}
	json_string(walk->answer, NULL, text);
}

static void walk_folder(struct walk *walk, int folder, size_t length, unsigned int depth);

static void walk_below(struct walk *walk, int folder, size_t length, const char *name,
		       unsigned int depth)
{
	int below;
	size_t longer;

	longer = length + 1 + strlen(name);
	if (longer >= sizeof(walk->path)) {
		walk->error = ENAMETOOLONG;
		return;
	}
	walk->path[length] = '/';
	memcpy(walk->path + length + 1, name, longer - length);
	if (walk->only && !word_in_list(walk->path, walk->only, ','))
		return;
	below = openat(folder, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (below < 0)
		return; /* it is gone */
	walk_folder(walk, below, longer, depth);
	close(below);
}

static bool is_self(const char *name)
{
	return !strcmp(name, ".") || !strcmp(name, "..");
}

/* List a folder, then its subfolders: their names are kept until its list is closed. */
static void walk_folder(struct walk *walk, int folder, size_t length, unsigned int depth)
{
	char *below = NULL;
	size_t below_length = 0, at;
	FILE *names = open_memstream(&below, &below_length);
	static _Alignas(struct record) char buf[32 << 10];
	long got;

	if (!names) {
		walk->error = errno;
		return;
	}
	walk->path[length] = '\0';
	walk->here = skips_in(walk);
	json_open(walk->answer, walk->path, '[');
	while ((got = syscall(SYS_getdents64, folder, buf, sizeof(buf))) > 0) {
		long offset;

		for (offset = 0; offset < got;) {
			const struct record *record = (const void *)(buf + offset);

			offset += record->length;
			if (is_self(record->name) || is_skipped(walk, length, record->name))
				continue;
			add_entry(walk, folder, record);
			if (record->type == DT_DIR && depth)
				fwrite(record->name, 1, strlen(record->name) + 1, names);
		}
	}
	if (got < 0 && errno != ENOENT) /* else it went away meanwhile */
		walk->error = errno;
	json_close(walk->answer, ']');
	fclose(names);
	for (at = 0; at < below_length; at += strlen(below + at) + 1)
		walk_below(walk, folder, length, below + at, depth - 1);
	free(below);
}

void source_tree(const struct command *command, struct json *answer)
{
	static struct walk walk;
	const char *path = command_value(command, "path");
	const char *skip = command_value(command, "skip");
	const char *depth = command_value(command, "depth");
	int folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (folder < 0) {
		source_absent(answer, path, errno);
		return;
	}
	walk.answer = answer;
	walk.error = 0;
	walk.skip = skip ? skip : "";
	walk.count = command_value(command, "count");
	walk.only = command_value(command, "only");
	walk.inodes = command_value(command, "inodes");
	walk.links = command_value(command, "links");
	walk.numbers = command_value(command, "pids") ? strlen(path) : 0;
	snprintf(walk.path, sizeof(walk.path), "%s", path);
	json_open(answer, "folders", '{');
	walk_folder(&walk, folder, strlen(path), depth ? (unsigned int)atoi(depth) : 0);
	json_close(answer, '}');
	if (walk.error)
		source_absent(answer, path, walk.error);
	close(folder);
}
