// SPDX-License-Identifier: GPL-2.0-only
/*
 * Witness: read for the host's oracles, from before an item's first step until its end.
 *
 * It starts before any step can replace a program or mount over a file, and it keeps the
 * files open that show mounts and tracers. Each `seal` answers with the secret word that
 * the host sent in the previous one, only to this process, and with the current state of
 * the lab's programs and mounts: the host compares it with the earlier state.
 */
#include "answer.h"
#include "kextload.h"
#include "verbs.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <poll.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAX_LINE ((size_t)1 << 20)
#define MAX_FILE ((size_t)1 << 20) /* bytes of one file that the host asks for */
#define MAX_WORDS 32
#define WORD_SIZE 65
#define FTW_DESCRIPTORS 8
#define NAME "kextwitness"
#define FROM_COPY "from-copy"
#define WORK_FOLDER "/root" /* where the host puts the files of an item */

/* All programs of the lab in the guest are below these. */
static const char *const program_folders[] = { "/bin", "/sbin", "/usr", "/lib", "/lib64" };
/* Files that decide how a program runs that SSH starts. */
static const char *const settings[] = {
	"/etc/passwd", "/etc/profile", "/etc/shells", "/etc/ld.so.preload", "/etc/ld.so.conf",
	"/etc/ld.so.cache", "/root/.profile", "/root/.ssh/environment",
};

static struct witness {
	int mounts, own_status, parent_status; /* open since the start */
	char word[WORD_SIZE];
	struct json *answer; /* nftw passes no context */
	/* Each table of mounts since the last seal, one after the other. */
	char *tables;
	size_t tables_length;
	bool tables_lost;
	volatile sig_atomic_t stopped; /* this process was stopped and continued */
} witness = { .mounts = -1, .own_status = -1, .parent_status = -1 };

/* Read a small file from its start; NULL with errno set on failure. */
static char *content(int file, size_t *length)
{
	size_t capacity = 4096, used = 0;
	char *text = malloc(capacity);
	ssize_t got = 0;

	while (text) {
		char *larger;

		got = pread(file, text + used, capacity - used, (off_t)used);
		if (got < 0 && errno == ESPIPE)
			got = read(file, text + used, capacity - used);
		if (got <= 0)
			break;
		used += (size_t)got;
		if (used < capacity)
			continue;
		capacity *= 2;
		larger = capacity <= MAX_FILE ? realloc(text, capacity) : NULL;
		if (!larger) {
			errno = EFBIG;
			got = -1;
			break;
		}
		text = larger;
	}
	if (got < 0) {
		free(text);
		return NULL;
	}
	*length = used;
	return text;
}

/*
 * Record the current table of mounts. Each change of it wakes this process, so it also
 * sees a mount that is gone by the time the host asks.
 */
static void keep_mounts(void)
{
	size_t length;
	char *text = content(witness.mounts, &length), *larger = NULL;

	if (text && witness.tables_length + length <= MAX_FILE)
		larger = realloc(witness.tables, witness.tables_length + length);
	if (!larger) {
		witness.tables_lost = true;
	} else {
		witness.tables = larger;
		memcpy(larger + witness.tables_length, text, length);
		witness.tables_length += length;
	}
	free(text);
}

static int add_content(const char *key, int file)
{
	size_t length;
	char *text = file < 0 ? NULL : content(file, &length);

	if (!text)
		return -errno;
	json_bytes(witness.answer, key, text, length);
	free(text);
	return 0;
}

static int add_identity(const char *path, const struct stat *status, int type, struct FTW *where)
{
	char line[320];

	(void)where;
	if (type != FTW_F && type != FTW_D) /* a link changes with its folder's time */
		return 0;
	snprintf(line, sizeof(line), "%jx %ju %o %jd %jd.%09ld %jd.%09ld",
		 (uintmax_t)status->st_dev, (uintmax_t)status->st_ino, status->st_mode,
		 type == FTW_F ? (intmax_t)status->st_size : 0, (intmax_t)status->st_mtim.tv_sec,
		 status->st_mtim.tv_nsec, (intmax_t)status->st_ctim.tv_sec,
		 status->st_ctim.tv_nsec);
	json_string(witness.answer, path, line);
	return 0;
}

/* Add the state of the files that the host pushed; steps may change their folder's own times. */
static void add_work_files(void)
{
	struct dirent *entry;
	struct stat status;
	char path[300];
	DIR *folder = opendir(WORK_FOLDER);

	while (folder && (entry = readdir(folder))) {
		snprintf(path, sizeof(path), WORK_FOLDER "/%s", entry->d_name);
		if (!lstat(path, &status) && S_ISREG(status.st_mode))
			add_identity(path, &status, FTW_F, NULL);
	}
	if (folder)
		closedir(folder);
}

static void add_programs(void)
{
	struct stat status;
	size_t i;

	json_open(witness.answer, "files", '{');
	for (i = 0; i < sizeof(program_folders) / sizeof(program_folders[0]); i++)
		nftw(program_folders[i], add_identity, FTW_DESCRIPTORS, FTW_PHYS | FTW_MOUNT);
	add_work_files();
	for (i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
		if (!lstat(settings[i], &status))
			add_identity(settings[i], &status, FTW_F, NULL);
	json_close(witness.answer, '}');
}

/* `seal next=WORD`: answer the previous word, and the current programs, mounts and tracers. */
static void seal(const struct command *command, struct json *answer)
{
	const char *next = command_value(command, "next");
	int error;

	if (command_check(command, "next", "", answer))
		return;
	if (strlen(next) >= WORD_SIZE) {
		fail(answer, "witness", EINVAL, "a word of more than %d characters", WORD_SIZE - 1);
		return;
	}
	keep_mounts();
	json_string(answer, "word", witness.word);
	json_bool(answer, "stopped", witness.stopped);
	json_bool(answer, "tables_lost", witness.tables_lost);
	json_bytes(answer, "tables", witness.tables, witness.tables_length);
	witness.tables_length = 0;
	snprintf(witness.word, sizeof(witness.word), "%s", next);
	add_programs();
	error = add_content("mounts", witness.mounts);
	error = error ? error : add_content("own_status", witness.own_status);
	error = error ? error : add_content("parent_status", witness.parent_status);
	if (error)
		fail(answer, "witness", error, "/proc can't be read: %s", strerror(-error));
}

/* `read paths=A,B`: answer each file's text, null for one that can't be read. */
static void read_paths(const struct command *command, struct json *answer)
{
	char *rest, *path;

	if (command_check(command, "paths", "", answer))
		return;
	json_open(answer, "files", '{');
	path = strtok_r((char *)command_value(command, "paths"), ",", &rest);
	for (; path; path = strtok_r(NULL, ",", &rest)) {
		int file = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

		if (add_content(path, file))
			json_null(answer, path);
		if (file >= 0)
			close(file);
	}
	json_close(answer, '}');
}

/* `do words=A,B`: do the same as `kextload A B`, which sends one answer. */
static int do_line(const struct command *command, struct json *answer)
{
	char *words[MAX_WORDS + 2] = { NAME }, *rest, *word;
	int count = 1;

	if (command_check(command, "words", "", answer))
		return answer_send(answer);
	word = strtok_r((char *)command_value(command, "words"), ",", &rest);
	for (; word && count <= MAX_WORDS; word = strtok_r(NULL, ",", &rest))
		words[count++] = word;
	if (word) {
		fail(answer, "witness", E2BIG, "more than %d words", MAX_WORDS);
		return answer_send(answer);
	}
	do_command(count, words);
	return 0;
}

static void take_inventory(const struct command *command, struct json *answer)
{
	if (!command_check(command, "sources", "", answer))
		verb_inventory(NULL, command, answer);
}

static int execute(char *line, struct json *answer)
{
	struct command command;

	answer_ok(answer);
	if (command_parse(&command, line, answer))
		return answer_send(answer);
	if (!strcmp(command.verb, "seal"))
		seal(&command, answer);
	else if (!strcmp(command.verb, "read"))
		read_paths(&command, answer);
	else if (!strcmp(command.verb, "inventory"))
		take_inventory(&command, answer);
	else if (!strcmp(command.verb, "do"))
		return do_line(&command, answer);
	else
		fail(answer, "command", EINVAL, "unknown verb %.64s", command.verb);
	return answer_send(answer);
}

static void on_continue(int number)
{
	(void)number;
	witness.stopped = 1;
}

static int start(void)
{
	struct sigaction action = { .sa_handler = on_continue };

	char path[64];

	prctl(PR_SET_NAME, NAME);
	prctl(PR_SET_DUMPABLE, 0);
	signal(SIGPIPE, SIG_IGN);
	sigaction(SIGCONT, &action, NULL);
	/* The kernel mounts tracefs there at the first access: access it now, not in a step. */
	access("/sys/kernel/debug/tracing/.", F_OK);
	snprintf(path, sizeof(path), "/proc/%d/status", getppid());
	witness.mounts = open("/proc/self/mountinfo", O_RDONLY | O_CLOEXEC);
	witness.own_status = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	witness.parent_status = open(path, O_RDONLY | O_CLOEXEC);
	return witness.mounts < 0 || witness.own_status < 0 || witness.parent_status < 0;
}

/* Answer lines until there are no more, and record the mounts whenever they change. */
static void serve_lines(char *line, struct json *answer)
{
	struct pollfd wanted[2] = {
		{ .fd = STDIN_FILENO, .events = POLLIN },
		{ .fd = witness.mounts, .events = POLLPRI },
	};
	size_t used = 0;

	for (;;) {
		ssize_t got;
		char *end;

		if (poll(wanted, 2, -1) < 0) {
			if (errno != EINTR)
				return;
			continue;
		}
		if (wanted[1].revents)
			keep_mounts();
		if (!wanted[0].revents)
			continue;
		got = read(STDIN_FILENO, line + used, MAX_LINE - 1 - used);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0) /* also for a line that is too long */
			return;
		used += (size_t)got;
		line[used] = '\0';
		end = strchr(line, '\n'); /* the host sends nothing after a line */
		if (!end)
			continue;
		*end = '\0';
		used = 0;
		if (execute(line, answer))
			return;
	}
}

/*
 * Run from a sealed copy: a write to the file that a process runs from would change the
 * process.
 */
static int run_from_copy(void)
{
	static char *const words[] = { NAME, FROM_COPY, NULL }, *const nothing[] = { NULL };
	int file = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	int copy = memfd_create(NAME, MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct stat status;
	off_t left;

	if (file < 0 || copy < 0 || fstat(file, &status))
		return 1;
	for (left = status.st_size; left > 0;) {
		ssize_t copied = sendfile(copy, file, NULL, (size_t)left);

		if (copied <= 0)
			return 1;
		left -= copied;
	}
	if (fcntl(copy, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL))
		return 1;
	fexecve(copy, words, nothing);
	return 1;
}

int watch_for_host(char **words)
{
	struct json answer = { 0 };
	char *line;

	if (!words[0])
		return run_from_copy();
	line = malloc(MAX_LINE);
	if (strcmp(words[0], FROM_COPY) || !line || start())
		return 1;
	witness.answer = &answer;
	serve_lines(line, &answer);
	json_free(&answer);
	free(line);
	return 0;
}
