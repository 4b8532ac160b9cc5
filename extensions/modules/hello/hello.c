// SPDX-License-Identifier: GPL-2.0-only
/*
 * hello - a correct module: the benign run of the oracles
 *
 * It takes the usual resources of modules (memory, a timer, a debugfs folder, a
 * kernel thread), uses them, and releases all of them when it is removed.
 */
#include <linux/debugfs.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/timer.h>

static struct dentry *folder;
static struct task_struct *worker;
static u64 *ticks;

static void on_tick(struct timer_list *timer);
static DEFINE_TIMER(ticker, on_tick);

static void on_tick(struct timer_list *timer)
{
	++*ticks;
	mod_timer(timer, jiffies + HZ / 10);
}

static int idle(void *unused)
{
	while (!kthread_should_stop())
		schedule_timeout_interruptible(HZ);
	return 0;
}

static int __init hello_init(void)
{
	ticks = kzalloc(sizeof(*ticks), GFP_KERNEL);
	if (!ticks)
		return -ENOMEM;
	worker = kthread_run(idle, NULL, "kextlab_hello");
	if (IS_ERR(worker)) {
		kfree(ticks);
		return PTR_ERR(worker);
	}
	folder = debugfs_create_dir("kextlab_hello", NULL);
	debugfs_create_u64("ticks", 0444, folder, ticks);
	mod_timer(&ticker, jiffies + HZ / 10);
	pr_info("kextlab: hello\n");
	return 0;
}

static void __exit hello_exit(void)
{
	timer_delete_sync(&ticker);
	debugfs_remove(folder);
	kthread_stop(worker);
	kfree(ticks);
	pr_info("kextlab: goodbye\n");
}

module_init(hello_init);
module_exit(hello_exit);
MODULE_DESCRIPTION("A benign module for the lab's own tests");
MODULE_LICENSE("GPL");
