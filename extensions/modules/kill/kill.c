// SPDX-License-Identifier: GPL-2.0-only
/*
 * kill - measure how long the kernel takes to end a tc program that never returns
 *
 *   echo "CONTEXT RUNS DELAY SEED PROGRAM" > /sys/kernel/debug/kextlab_kill/run
 *   cat /sys/kernel/debug/kextlab_kill/results
 *
 * PROGRAM is the path of a pinned program. It is run RUNS times on one CPU, each time after
 * a random wait of up to DELAY ns from SEED, so that runs begin at all times between two
 * ticks. CONTEXT is the context of the call:
 *
 *   task     by a task, interrupts on
 *   rcu      the same, in an RCU read-side critical section
 *   softirq  in a tasklet
 *   hardirq  in the interrupt of a timer
 *   irqsoff  by a task, interrupts off
 *
 * `busy` calls nothing: it counts to DELAY, with interrupts on, and PROGRAM is `-`.
 *
 * Results: a line for each run, `NS RETVAL`: the clock of the kernel's watchdog, read
 * before and after the call.
 */
#include <linux/bottom_half.h>
#include <linux/bpf.h>
#include <linux/completion.h>
#include <linux/debugfs.h>
#include <linux/filter.h>
#include <linux/hrtimer.h>
#include <linux/i8253.h>
#include <linux/interrupt.h>
#include <linux/io.h>
#include <linux/irqflags.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/preempt.h>
#include <linux/prandom.h>
#include <linux/rcupdate.h>
#include <linux/sched.h>
#include <linux/seq_file.h>
#include <linux/skbuff.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/timekeeping.h>
#include <linux/uaccess.h>

#define MAX_RUNS 100000
#define MAX_DELAY (1000 * 1000 * 1000)
#define MAX_COMMAND 256
#define PACKET_SIZE 64

struct taken {
	u64 ns;
	u32 returned;
};

static struct {
	struct bpf_prog *program;
	struct sk_buff *packet;
	struct taken taken;
	struct completion done;
	struct tasklet_struct tasklet;
	struct hrtimer timer;
} call;

static struct taken *results;
static unsigned int result_count;
static DEFINE_MUTEX(mutex); /* protects the variables above */
static struct dentry *folder;

static bool turns;
module_param(turns, bool, 0400);
MODULE_PARM_DESC(turns, "let an emulator's CPUs take turns every 100 us");

/* Only the two clock reads differ between the budget and the measured time. */
static noinline void run_program(void)
{
	u64 before = ktime_get_mono_fast_ns();

	call.taken.returned = bpf_prog_run(call.program, call.packet);
	call.taken.ns = ktime_get_mono_fast_ns() - before;
}

static void in_tasklet(struct tasklet_struct *tasklet)
{
	run_program();
	complete(&call.done);
}

static enum hrtimer_restart in_timer(struct hrtimer *timer)
{
	run_program();
	complete(&call.done);
	return HRTIMER_NORESTART;
}

static void wait(u32 ns)
{
	u64 begin = ktime_get_mono_fast_ns();

	while (ktime_get_mono_fast_ns() - begin < ns)
		cpu_relax();
}

static void call_in_task(u32 delay)
{
	wait(delay);
	run_program();
}

static void call_in_rcu(u32 delay)
{
	wait(delay);
	rcu_read_lock();
	run_program();
	rcu_read_unlock();
}

static void call_in_softirq(u32 delay)
{
	wait(delay);
	local_bh_disable();
	tasklet_schedule(&call.tasklet);
	local_bh_enable();
	wait_for_completion(&call.done);
}

static void call_in_hardirq(u32 delay)
{
	hrtimer_start(&call.timer, ns_to_ktime(delay), HRTIMER_MODE_REL_PINNED_HARD);
	wait_for_completion(&call.done);
}

static void call_with_irqs_off(u32 delay)
{
	unsigned long flags;

	wait(delay);
	local_irq_save(flags);
	run_program();
	local_irq_restore(flags);
}

static void count_up(u32 to)
{
	u64 before = ktime_get_mono_fast_ns();

	while (to--)
		barrier();
	call.taken.ns = ktime_get_mono_fast_ns() - before;
}

static const struct context {
	const char *name;
	void (*call)(u32 delay);
	bool runs;
} contexts[] = {
	{ "task", call_in_task, true },
	{ "rcu", call_in_rcu, true },
	{ "softirq", call_in_softirq, true },
	{ "hardirq", call_in_hardirq, true },
	{ "irqsoff", call_with_irqs_off, true },
	{ "busy", count_up, false },
};

static const struct context *find_context(const char *name)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(contexts); i++)
		if (!strcmp(contexts[i].name, name))
			return &contexts[i];
	return NULL;
}

static int run_all(const struct context *context, u32 runs, u32 max_delay, u32 seed)
{
	struct rnd_state random;
	int error = 0;
	u32 i;

	prandom_seed_state(&random, seed);
	/* Run all on one CPU, in the state that a program may expect from its caller. */
	migrate_disable();
	for (i = 0; i < runs && !error; i++) {
		u32 delay = max_delay;

		if (context->runs && max_delay)
			delay = prandom_u32_state(&random) % max_delay;
		reinit_completion(&call.done);
		memset(&call.taken, 0, sizeof(call.taken));
		context->call(delay);
		results[i] = call.taken;
		result_count = i + 1;
		cond_resched();
		if (signal_pending(current))
			error = -EINTR;
	}
	migrate_enable();
	return error;
}

static int prepare(const struct context *context, const char *path, u32 runs)
{
	kvfree(results);
	result_count = 0;
	results = kvcalloc(runs, sizeof(*results), GFP_KERNEL);
	if (!results)
		return -ENOMEM;
	if (!context->runs)
		return 0;
	call.packet = alloc_skb(PACKET_SIZE, GFP_KERNEL);
	if (!call.packet)
		return -ENOMEM;
	skb_put_zero(call.packet, PACKET_SIZE);
	call.program = bpf_prog_get_type_path(path, BPF_PROG_TYPE_SCHED_CLS);
	if (IS_ERR(call.program)) {
		int error = PTR_ERR(call.program);

		call.program = NULL;
		return error;
	}
	return 0;
}

static void forget(void)
{
	if (call.program)
		bpf_prog_put(call.program);
	call.program = NULL;
	kfree_skb(call.packet);
	call.packet = NULL;
}

static int obey(char *words)
{
	const struct context *context;
	char *name = strsep(&words, " ");
	char *numbers[3];
	u32 runs, delay, seed;
	int error, i;

	for (i = 0; i < ARRAY_SIZE(numbers); i++) {
		numbers[i] = strsep(&words, " ");
		if (!numbers[i])
			return -EINVAL;
	}
	context = find_context(name);
	if (!context || !words || kstrtou32(numbers[0], 10, &runs) ||
	    kstrtou32(numbers[1], 10, &delay) || kstrtou32(numbers[2], 10, &seed) ||
	    !runs || runs > MAX_RUNS || delay > MAX_DELAY)
		return -EINVAL;
	error = prepare(context, words, runs);
	if (!error)
		error = run_all(context, runs, delay, seed);
	forget();
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
	unsigned int i;

	mutex_lock(&mutex);
	for (i = 0; i < result_count; i++)
		seq_printf(out, "%llu %u\n", results[i].ns, results[i].returned);
	mutex_unlock(&mutex);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(results);

/*
 * An emulator that counts instructions lets one CPU run until the machine's next timer. A
 * CPU that was about to set its timer has none: if it loops with interrupts off, it runs
 * until the emulator notices, after 100 ms. So let the timer chip (PIT) tick, whose
 * interrupt is unused.
 */
static void begin_turns(void)
{
	u16 latch = PIT_TICK_RATE / 10000;

	disable_irq(0);
	outb(0x34, PIT_MODE); /* channel 0, both bytes, mode 2: periodic */
	outb(latch & 0xff, PIT_CH0);
	outb(latch >> 8, PIT_CH0);
}

static void end_turns(void)
{
	outb(0x30, PIT_MODE); /* mode 0: one-shot */
	outb(0, PIT_CH0);
	outb(0, PIT_CH0);
	enable_irq(0);
}

static int __init kill_init(void)
{
	if (turns)
		begin_turns();
	init_completion(&call.done);
	tasklet_setup(&call.tasklet, in_tasklet);
	hrtimer_init(&call.timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL_PINNED_HARD);
	call.timer.function = in_timer;
	folder = debugfs_create_dir("kextlab_kill", NULL);
	debugfs_create_file("run", 0200, folder, NULL, &run_operations);
	debugfs_create_file("results", 0400, folder, NULL, &results_fops);
	return 0;
}

static void __exit kill_exit(void)
{
	debugfs_remove(folder);
	tasklet_kill(&call.tasklet);
	hrtimer_cancel(&call.timer);
	forget();
	kvfree(results);
	if (turns)
		end_turns();
}

module_init(kill_init);
module_exit(kill_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("How long a program takes that never returns");
