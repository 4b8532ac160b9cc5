// SPDX-License-Identifier: GPL-2.0-only
/*
 * bench - measure how long tc programs run, eBPF and Rex through the same path
 *
 *   echo "SAMPLES RUNS WARM SUBJECT..." > /sys/kernel/debug/kextlab_bench/run
 *   cat /sys/kernel/debug/kextlab_bench/results
 *
 * A subject is `loop` (the loop alone), `call` (an empty C function, called like a
 * program), or the path of a pinned tc program. A sample is the difference of the
 * time-stamp counter over RUNS consecutive runs with interrupts off, after WARM runs
 * that do not count. The subjects take turns within a sample, so that other load of
 * the host affects all of them equally.
 *
 * Results: a line `tsc_khz N`, then for each subject, in the given order, a line
 * `NAME RETVAL TICKS...`; RETVAL is the return value of the last run.
 */
#include <linux/bottom_half.h>
#include <linux/bpf.h>
#include <linux/debugfs.h>
#include <linux/filter.h>
#include <linux/irqflags.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/skbuff.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/uaccess.h>
#include <asm/msr.h>
#include <asm/tsc.h>

#define MAX_SUBJECTS 40
#define MAX_SAMPLES 10000
/* Interrupts are off during a batch of runs: milliseconds, not seconds. */
#define MAX_RUNS 100000
#define MAX_COMMAND 2048
#define PACKET_SIZE 64

enum kind { LOOP, CALL, PROGRAM };

struct subject {
	enum kind kind;
	char name[64];
	struct bpf_prog *program;
	u32 last;
	u64 *ticks;
};

static struct subject subjects[MAX_SUBJECTS];
static unsigned int subject_count, sample_count;
static DEFINE_MUTEX(mutex); /* protects the variables above */
static struct dentry *folder;

static noinline unsigned int nothing(const void *context, const struct bpf_insn *insns)
{
	barrier();
	return 0;
}

/* Not constant, or the compiler would call it directly, or not at all. */
static bpf_func_t volatile called = nothing;

static noinline u64 run_loop(u32 runs)
{
	u64 start = rdtsc_ordered();

	while (runs--)
		barrier();
	return rdtsc_ordered() - start;
}

static noinline u64 run_call(const void *context, u32 runs, u32 *last)
{
	bpf_func_t function = called;
	u64 start = rdtsc_ordered();

	while (runs--)
		*last = bpf_dispatcher_nop_func(context, NULL, function);
	return rdtsc_ordered() - start;
}

static noinline u64 run_program(const struct bpf_prog *program, const void *context, u32 runs,
				u32 *last)
{
	u64 start = rdtsc_ordered();

	while (runs--)
		*last = bpf_prog_run(program, context);
	return rdtsc_ordered() - start;
}

static u64 run(struct subject *subject, const void *context, u32 runs)
{
	switch (subject->kind) {
	case LOOP:
		return run_loop(runs);
	case CALL:
		return run_call(context, runs, &subject->last);
	default:
		return run_program(subject->program, context, runs, &subject->last);
	}
}

/* Run programs as tc does, with bottom halves off and under RCU, and with interrupts off. */
static u64 sample(struct subject *subject, const void *context, u32 runs, u32 warm)
{
	unsigned long flags;
	u64 ticks;

	local_bh_disable();
	rcu_read_lock();
	local_irq_save(flags);
	run(subject, context, warm);
	ticks = run(subject, context, runs);
	local_irq_restore(flags);
	rcu_read_unlock();
	local_bh_enable();
	return ticks;
}

static int take_samples(u32 samples, u32 runs, u32 warm)
{
	struct sk_buff *packet = alloc_skb(PACKET_SIZE, GFP_KERNEL);
	u32 i, j;
	int error = 0;

	if (!packet)
		return -ENOMEM;
	skb_put_zero(packet, PACKET_SIZE);
	for (i = 0; i < samples && !error; i++) {
		for (j = 0; j < subject_count; j++) {
			struct subject *subject = &subjects[(i + j) % subject_count];

			subject->ticks[i] = sample(subject, packet, runs, warm);
		}
		cond_resched();
		if (signal_pending(current))
			error = -EINTR;
	}
	kfree_skb(packet);
	return error;
}

static void forget_subjects(void)
{
	unsigned int i;

	for (i = 0; i < subject_count; i++) {
		if (subjects[i].program)
			bpf_prog_put(subjects[i].program);
		kvfree(subjects[i].ticks);
	}
	memset(subjects, 0, sizeof(subjects));
	subject_count = 0;
	sample_count = 0;
}

static int add_subject(const char *word, u32 samples)
{
	struct subject *subject = &subjects[subject_count];

	if (subject_count == MAX_SUBJECTS)
		return -E2BIG;
	if (strscpy(subject->name, word, sizeof(subject->name)) < 0)
		return -ENAMETOOLONG;
	if (!strcmp(word, "loop")) {
		subject->kind = LOOP;
	} else if (!strcmp(word, "call")) {
		subject->kind = CALL;
	} else {
		struct bpf_prog *program =
			bpf_prog_get_type_path(word, BPF_PROG_TYPE_SCHED_CLS);

		if (IS_ERR(program))
			return PTR_ERR(program);
		subject->kind = PROGRAM;
		subject->program = program;
	}
	/* Count it now, so that it is released with the others, whatever happens next. */
	subject_count++;
	subject->ticks = kvcalloc(samples, sizeof(*subject->ticks), GFP_KERNEL);
	return subject->ticks ? 0 : -ENOMEM;
}

static int next_number(char **words, u32 max, u32 *number)
{
	char *word = strsep(words, " ");

	if (!word || kstrtou32(word, 10, number) || *number > max)
		return -EINVAL;
	return 0;
}

static int obey(char *words)
{
	u32 samples, runs, warm;
	char *word;
	int error;

	if (next_number(&words, MAX_SAMPLES, &samples) || next_number(&words, MAX_RUNS, &runs) ||
	    next_number(&words, MAX_RUNS, &warm) || !samples || !runs)
		return -EINVAL;
	forget_subjects();
	while ((word = strsep(&words, " "))) {
		error = add_subject(word, samples);
		if (error)
			goto out;
	}
	error = subject_count ? take_samples(samples, runs, warm) : -EINVAL;
	sample_count = samples;
out:
	if (error)
		forget_subjects();
	return error;
}

static ssize_t run_write(struct file *file, const char __user *from, size_t size, loff_t *at)
{
	char *words;
	int error;

	if (size >= MAX_COMMAND)
		return -E2BIG;
	words = memdup_user_nul(from, size);
	if (IS_ERR(words))
		return PTR_ERR(words);
	mutex_lock(&mutex);
	error = obey(strim(words));
	mutex_unlock(&mutex);
	kfree(words);
	return error ? error : size;
}

static const struct file_operations run_operations = {
	.owner = THIS_MODULE,
	.open = simple_open,
	.write = run_write,
	.llseek = noop_llseek,
};

static int results_show(struct seq_file *out, void *nobody)
{
	unsigned int i, j;

	mutex_lock(&mutex);
	seq_printf(out, "tsc_khz %u\n", tsc_khz);
	for (i = 0; i < subject_count; i++) {
		seq_printf(out, "%s %u", subjects[i].name, subjects[i].last);
		for (j = 0; j < sample_count; j++)
			seq_printf(out, " %llu", subjects[i].ticks[j]);
		seq_putc(out, '\n');
	}
	mutex_unlock(&mutex);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(results);

static int __init bench_init(void)
{
	folder = debugfs_create_dir("kextlab_bench", NULL);
	debugfs_create_file("run", 0200, folder, NULL, &run_operations);
	debugfs_create_file("results", 0400, folder, NULL, &results_fops);
	return 0;
}

static void __exit bench_exit(void)
{
	debugfs_remove(folder);
	forget_subjects();
}

module_init(bench_init);
module_exit(bench_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("How long tc programs run, eBPF and Rex by one path");
