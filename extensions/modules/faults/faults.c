// SPDX-License-Identifier: GPL-2.0-only
/*
 * faults - one kernel fault on request, to prove that the lab's oracles see it
 *
 *   echo "VERB [CONTEXT [DELAY_MS]]" > /sys/kernel/debug/kextlab_faults/fire
 *
 * CONTEXT is the context of the fault: task (the writer itself, the default),
 * thread (a kernel thread), softirq (a timer) or hardirq (a hard hrtimer).
 * With a delay the write returns at once and the fault comes later; `task`
 * then means a kernel thread. `seconds` limits lasting faults (0: no limit).
 * Reading the file `verbs` lists the possible requests.
 */
#include <linux/debugfs.h>
#include <linux/delay.h>
#include <linux/hrtimer.h>
#include <linux/kthread.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/objtool.h>
#include <linux/preempt.h>
#include <linux/rcupdate.h>
#include <linux/refcount.h>
#include <linux/sched/clock.h>
#include <linux/seq_file.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/timer.h>
#include <linux/uaccess.h>
#include <linux/workqueue.h>

static unsigned int seconds;
module_param(seconds, uint, 0644);
MODULE_PARM_DESC(seconds, "how long a lockup, stall or wait lasts; 0 means for ever");

static unsigned int count = 1;
module_param(count, uint, 0644);
MODULE_PARM_DESC(count, "how many objects a leak leaks");

static unsigned int size = 4096;
module_param(size, uint, 0644);
MODULE_PARM_DESC(size, "bytes of one leaked object");

static struct dentry *folder;

/* Use the CPU for a time. With interrupts off jiffies may stand still. */
static noinline void burn(void)
{
	u64 end = local_clock() + (u64)seconds * NSEC_PER_SEC;

	while (!seconds || local_clock() < end)
		cpu_relax();
}

/* Bad addresses. Volatile, so that the compiler can't see that they are bad. */

static void *volatile null;
static void *volatile error_pointer = (void *)-4095L;
static void *volatile poison = (void *)0xdead000000000100UL;

static noinline void fault_null_read(void)
{
	(void)READ_ONCE(*(int *)null);
}

static noinline void fault_null_write(void)
{
	WRITE_ONCE(*(int *)null, 1);
}

static noinline void fault_null_exec(void)
{
	void (*function)(void) = null;

	function();
	barrier();
}

static noinline void fault_bad_read(void)
{
	(void)READ_ONCE(*(int *)error_pointer);
}

static noinline void fault_noncanonical(void)
{
	(void)READ_ONCE(*(int *)poison);
}

static noinline void fault_readonly(void)
{
	/* Kernel text is mapped, but not writable. */
	WRITE_ONCE(*(u8 *)&schedule, 0);
}

/* Bad instructions */

static noinline void fault_divide(void)
{
	unsigned int low = 1, high = 0;

	asm volatile("divl %2" : "+a"(low), "+d"(high) : "r"(0) : "cc");
}

static noinline void fault_ud2(void)
{
	asm volatile("ud2");
}
STACK_FRAME_NON_STANDARD(fault_ud2);

static noinline void fault_int3(void)
{
	asm volatile("int3");
}

/* Assertions */

static noinline void fault_bug(void)
{
	BUG();
}

static noinline void fault_warn(void)
{
	WARN(1, "kextlab: a warning was asked for\n");
}

static noinline void fault_warn_bare(void)
{
	WARN_ON(!null);
}

static noinline void fault_warn_once(void)
{
	WARN_ONCE(1, "kextlab: a warning was asked for, once\n");
}

static noinline void fault_panic(void)
{
	panic("kextlab: a panic was asked for");
}

/* Stacks */

static noinline int descend(int depth)
{
	volatile char frame[256];

	frame[depth & 255] = depth;
	return descend(depth + 1) + frame[depth & 255];
}

static noinline void fault_stack(void)
{
	descend(0);
}

static noinline void fault_double(void)
{
	/* A page fault whose own frame can't be pushed either. */
	asm volatile("movq %0, %%rsp\n\tpushq $0" : : "r"(8192UL) : "memory");
}
STACK_FRAME_NON_STANDARD(fault_double);

/* CPUs that no longer make progress */

static noinline void fault_soft_lockup(void)
{
	preempt_disable();
	burn();
	preempt_enable();
}

static noinline void fault_hard_lockup(void)
{
	unsigned long flags;

	local_irq_save(flags);
	burn();
	local_irq_restore(flags);
}

static void nothing(struct rcu_head *head)
{
	kfree(head);
}

static noinline void fault_rcu_stall(void)
{
	struct rcu_head *head = kzalloc(sizeof(*head), GFP_ATOMIC);

	rcu_read_lock();
	if (head)
		call_rcu(head, nothing);	/* a stall needs a grace period that waits */
	burn();
	rcu_read_unlock();
}

static DEFINE_SPINLOCK(spin);

static noinline void fault_spin_twice(void)
{
	spin_lock(&spin);
	spin_lock(&spin);
}

static DEFINE_MUTEX(mutex);

static noinline void fault_mutex_twice(void)
{
	mutex_lock(&mutex);
	mutex_lock(&mutex);
}

static noinline void fault_hung_task(void)
{
	set_current_state(TASK_UNINTERRUPTIBLE);
	schedule_timeout(seconds ? seconds * HZ : MAX_SCHEDULE_TIMEOUT);
}

/* A preemptible work item would count as CPU-intensive, and another could run. */
static void burn_in_work(struct work_struct *work)
{
	preempt_disable();
	burn();
	preempt_enable();
}

static void rest_in_work(struct work_struct *work)
{
}

static DECLARE_WORK(burning, burn_in_work);
static DECLARE_WORK(resting, rest_in_work);

static noinline void fault_wq_lockup(void)
{
	schedule_work_on(raw_smp_processor_id(), &burning);
	schedule_work_on(raw_smp_processor_id(), &resting);
}

static noinline void fault_atomic_sleep(void)
{
	preempt_disable();
	schedule_timeout_uninterruptible(1);
	preempt_enable();
}

/* Corrupt data */

struct item {
	struct list_head link;
	u64 payload[6];
};

static noinline void fault_list_del(void)
{
	LIST_HEAD(head);
	struct item one, two;

	list_add(&one.link, &head);
	list_add(&two.link, &head);
	one.link.prev = &head;
	list_del(&one.link);
}

static noinline void fault_list_add(void)
{
	LIST_HEAD(head);
	struct item one;

	list_add(&one.link, &head);
	list_add(&one.link, &head);
}

static noinline void fault_list_poison(void)
{
	LIST_HEAD(head);
	struct item one;

	list_add(&one.link, &head);
	list_del(&one.link);
	list_del(&one.link);
}

static noinline void fault_double_free(void)
{
	struct item *one = kmalloc(sizeof(*one), GFP_ATOMIC);
	struct item *volatile again = one;

	kfree(one);
	kfree(again);
}

static noinline void fault_use_after_free(void)
{
	struct item *one = kmalloc(sizeof(*one), GFP_ATOMIC);
	struct item *volatile again = one;

	if (!one)
		return;
	kfree(one);
	WRITE_ONCE(again->payload[2], 0x4b4b4b4b);
	kfree(kmalloc(sizeof(*one), GFP_ATOMIC));
}

static noinline void fault_refcount(void)
{
	refcount_t references = REFCOUNT_INIT(0);

	refcount_dec(&references);
}

/* Resources that are not released. Nothing is printed: counters and slopes must show them. */

static noinline void fault_leak_memory(void)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		if (!kmalloc(size, GFP_ATOMIC))
			pr_warn("kextlab: no memory left to leak\n");
}

static int sleep_for_ever(void *unused)
{
	for (;;)
		schedule_timeout_interruptible(MAX_SCHEDULE_TIMEOUT);
	return 0;
}

static noinline void fault_leak_thread(void)
{
	unsigned int i;

	for (i = 0; i < count; i++)
		kthread_run(sleep_for_ever, NULL, "kextlab_leak/%u", i);
}

static noinline void fault_leak_preempt(void)
{
	preempt_disable();
}

static noinline void fault_leak_irqs_off(void)
{
	local_irq_disable();
}

static void stray(struct timer_list *timer)
{
	pr_info("kextlab: a stray timer found its module in place\n");
}

static DEFINE_TIMER(stray_timer, stray);

/* If the module is removed within two seconds, the timer jumps to freed text. */
static noinline void fault_stray_timer(void)
{
	mod_timer(&stray_timer, jiffies + 2 * HZ);
}

static const struct verb {
	const char *name;
	void (*run)(void);
} verbs[] = {
	{ "null-read", fault_null_read },
	{ "null-write", fault_null_write },
	{ "null-exec", fault_null_exec },
	{ "bad-read", fault_bad_read },
	{ "noncanonical", fault_noncanonical },
	{ "readonly", fault_readonly },
	{ "divide", fault_divide },
	{ "ud2", fault_ud2 },
	{ "int3", fault_int3 },
	{ "bug", fault_bug },
	{ "warn", fault_warn },
	{ "warn-bare", fault_warn_bare },
	{ "warn-once", fault_warn_once },
	{ "panic", fault_panic },
	{ "stack", fault_stack },
	{ "double-fault", fault_double },
	{ "soft-lockup", fault_soft_lockup },
	{ "hard-lockup", fault_hard_lockup },
	{ "rcu-stall", fault_rcu_stall },
	{ "spin-twice", fault_spin_twice },
	{ "mutex-twice", fault_mutex_twice },
	{ "hung-task", fault_hung_task },
	{ "wq-lockup", fault_wq_lockup },
	{ "atomic-sleep", fault_atomic_sleep },
	{ "list-del", fault_list_del },
	{ "list-add", fault_list_add },
	{ "list-poison", fault_list_poison },
	{ "double-free", fault_double_free },
	{ "use-after-free", fault_use_after_free },
	{ "refcount", fault_refcount },
	{ "leak-memory", fault_leak_memory },
	{ "leak-thread", fault_leak_thread },
	{ "leak-preempt", fault_leak_preempt },
	{ "leak-irqs-off", fault_leak_irqs_off },
	{ "stray-timer", fault_stray_timer },
};

/*
 * One request. It is freed when the module is removed, because a pending timer
 * in it must be cancelled first.
 */
struct shot {
	struct list_head link;
	const struct verb *verb;
	unsigned int delay_ms;
	struct timer_list soft;
	struct hrtimer hard;
};

static LIST_HEAD(shots);
static DEFINE_SPINLOCK(shots_lock);

static void fire_in_softirq(struct timer_list *timer)
{
	container_of(timer, struct shot, soft)->verb->run();
}

static enum hrtimer_restart fire_in_hardirq(struct hrtimer *timer)
{
	container_of(timer, struct shot, hard)->verb->run();
	return HRTIMER_NORESTART;
}

static int fire_in_thread(void *data)
{
	struct shot *shot = data;

	if (shot->delay_ms)
		msleep(shot->delay_ms);
	shot->verb->run();
	module_put_and_kthread_exit(0);
}

/* The fault happens on the requesting CPU, if the CPU can be chosen. */
static int start(const struct verb *verb, const char *context, unsigned int delay_ms)
{
	unsigned int cpu = raw_smp_processor_id();
	struct task_struct *thread;
	struct shot *shot;

	if (!strcmp(context, "task") && !delay_ms) {
		verb->run();
		return 0;
	}
	shot = kzalloc(sizeof(*shot), GFP_KERNEL);
	if (!shot)
		return -ENOMEM;
	shot->verb = verb;
	shot->delay_ms = delay_ms;
	timer_setup(&shot->soft, fire_in_softirq, TIMER_PINNED);
	hrtimer_init(&shot->hard, CLOCK_MONOTONIC, HRTIMER_MODE_REL_PINNED_HARD);
	shot->hard.function = fire_in_hardirq;
	spin_lock(&shots_lock);
	list_add(&shot->link, &shots);
	spin_unlock(&shots_lock);
	if (!strcmp(context, "softirq")) {
		shot->soft.expires = jiffies + msecs_to_jiffies(delay_ms);
		add_timer_on(&shot->soft, cpu);
	} else if (!strcmp(context, "hardirq")) {
		hrtimer_start(&shot->hard, ms_to_ktime(delay_ms), HRTIMER_MODE_REL_PINNED_HARD);
	} else if (!strcmp(context, "thread") || !strcmp(context, "task")) {
		thread = kthread_create(fire_in_thread, shot, "kextlab_fault");
		if (IS_ERR(thread))
			return PTR_ERR(thread);
		__module_get(THIS_MODULE);
		kthread_bind(thread, cpu);
		wake_up_process(thread);
	} else {
		return -EINVAL;
	}
	return 0;
}

static ssize_t fire_write(struct file *file, const char __user *from, size_t length, loff_t *at)
{
	char text[64] = "", name[24] = "", context[12] = "task";
	unsigned int delay_ms = 0;
	size_t i;
	int error;

	if (length >= sizeof(text))
		return -EINVAL;
	if (copy_from_user(text, from, length))
		return -EFAULT;
	if (sscanf(text, "%23s %11s %u", name, context, &delay_ms) < 1)
		return -EINVAL;
	for (i = 0; i < ARRAY_SIZE(verbs); i++) {
		if (strcmp(verbs[i].name, name))
			continue;
		error = start(&verbs[i], context, delay_ms);
		return error ?: length;
	}
	return -ENOENT;
}

static const struct file_operations fire_operations = {
	.owner = THIS_MODULE,
	.write = fire_write,
};

static int verbs_show(struct seq_file *out, void *unused)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(verbs); i++)
		seq_printf(out, "%s\n", verbs[i].name);
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(verbs);

static int __init faults_init(void)
{
	folder = debugfs_create_dir("kextlab_faults", NULL);
	debugfs_create_file("fire", 0200, folder, NULL, &fire_operations);
	debugfs_create_file("verbs", 0444, folder, NULL, &verbs_fops);
	return PTR_ERR_OR_ZERO(folder);
}

/* The stray timer stays armed: that is the fault. */
static void __exit faults_exit(void)
{
	struct shot *shot, *next;

	debugfs_remove(folder);
	list_for_each_entry_safe(shot, next, &shots, link) {
		timer_delete_sync(&shot->soft);
		hrtimer_cancel(&shot->hard);
		kfree(shot);
	}
	cancel_work_sync(&burning);
	cancel_work_sync(&resting);
}

module_init(faults_init);
module_exit(faults_exit);
MODULE_DESCRIPTION("Faults on request for the lab's own tests");
MODULE_LICENSE("GPL");
