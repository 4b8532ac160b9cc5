// SPDX-License-Identifier: GPL-2.0-only
/*
 * leaks - take memory, timers and work items, and release them, or not
 *
 *   insmod leaks.ko take=kmalloc,timer keep=timer
 *   echo "KIND [COUNT]" > /sys/kernel/debug/kextlab_leaks/take
 *
 * `take` lists the kinds that the module takes when it is loaded, `keep` the kinds that
 * it does not release when it is removed; `all` means every kind. So one source is a
 * faulty module for each kind, and a correct module for all.
 */
#include <linux/debugfs.h>
#include <linux/gfp.h>
#include <linux/hrtimer.h>
#include <linux/module.h>
#include <linux/percpu.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/timer.h>
#include <linux/uaccess.h>
#include <linux/vmalloc.h>
#include <linux/workqueue.h>

static char *take = "";
module_param(take, charp, 0444);
MODULE_PARM_DESC(take, "kinds to take when the module is loaded, or all");

static char *keep = "";
module_param(keep, charp, 0444);
MODULE_PARM_DESC(keep, "kinds not to give back when it is removed, or all");

static unsigned int seconds = 3600;
module_param(seconds, uint, 0444);
MODULE_PARM_DESC(seconds, "after how many seconds timers and delayed work run");

/* A timer in separately allocated memory, so that both can be kept. */
struct heap_timer {
	struct timer_list timer;
	u64 payload[16];
};

static struct kmem_cache *cache;
static struct dentry *folder;

/* Arm the timer again: a kept timer is armed whenever the module is unloaded. */
static noinline void tick(struct timer_list *self)
{
	mod_timer(self, jiffies + seconds * HZ);
}

static noinline enum hrtimer_restart beat(struct hrtimer *timer)
{
	return HRTIMER_NORESTART;
}

static noinline void chore(struct work_struct *work)
{
}

static DEFINE_TIMER(timer, tick);
static struct hrtimer precise;
static DECLARE_DELAYED_WORK(later, chore);

static void *take_kmalloc(const char __user *from)
{
	return kmalloc(1000, GFP_KERNEL);
}

static void *take_large(const char __user *from)
{
	return kmalloc(40000, GFP_KERNEL);
}

static void *take_kstrdup(const char __user *from)
{
	return kstrdup("a string of the module's, duplicated", GFP_KERNEL);
}

static void *take_memdup_user(const char __user *from)
{
	void *copy = from ? memdup_user(from, 4) : NULL;

	return IS_ERR(copy) ? NULL : copy;
}

static void *take_cache(const char __user *from)
{
	return kmem_cache_alloc(cache, GFP_KERNEL);
}

static void give_cache(void *memory)
{
	kmem_cache_free(cache, memory);
}

static void *take_vmalloc(const char __user *from)
{
	return vmalloc(3 * PAGE_SIZE);
}

static void *take_pages(const char __user *from)
{
	return (void *)__get_free_pages(GFP_KERNEL, 1);
}

static void give_pages(void *memory)
{
	free_pages((unsigned long)memory, 1);
}

static void *take_percpu(const char __user *from)
{
	return (__force void *)__alloc_percpu(64, 8);
}

static void give_percpu(void *memory)
{
	free_percpu((__force void __percpu *)memory);
}

static void *take_timer(const char __user *from)
{
	mod_timer(&timer, jiffies + seconds * HZ);
	return &timer;
}

static void give_timer(void *memory)
{
	timer_delete_sync(&timer);
}

static void *take_heap_timer(const char __user *from)
{
	struct heap_timer *own = kzalloc(sizeof(*own), GFP_KERNEL);

	if (!own)
		return NULL;
	timer_setup(&own->timer, tick, 0);
	mod_timer(&own->timer, jiffies + seconds * HZ);
	return own;
}

static void give_heap_timer(void *memory)
{
	struct heap_timer *own = memory;

	timer_delete_sync(&own->timer);
	kfree(own);
}

static void *take_hrtimer(const char __user *from)
{
	hrtimer_start(&precise, ktime_set(seconds, 0), HRTIMER_MODE_REL);
	return &precise;
}

static void give_hrtimer(void *memory)
{
	hrtimer_cancel(&precise);
}

static void *take_delayed_work(const char __user *from)
{
	schedule_delayed_work(&later, seconds * HZ);
	return &later;
}

static void give_delayed_work(void *memory)
{
	cancel_delayed_work_sync(&later);
}

static void give_kfree(void *memory)
{
	kfree(memory);
}

static void give_vfree(void *memory)
{
	vfree(memory);
}

static struct kind {
	const char *name;
	void *(*take)(const char __user *from);
	void (*give)(void *memory);
	void *taken[64];
	unsigned int count;
} kinds[] = {
	{ "kmalloc", take_kmalloc, give_kfree },
	{ "large", take_large, give_kfree },
	{ "kstrdup", take_kstrdup, give_kfree },
	{ "memdup_user", take_memdup_user, give_kfree },
	{ "cache", take_cache, give_cache },
	{ "vmalloc", take_vmalloc, give_vfree },
	{ "pages", take_pages, give_pages },
	{ "percpu", take_percpu, give_percpu },
	{ "timer", take_timer, give_timer },
	{ "heap_timer", take_heap_timer, give_heap_timer },
	{ "hrtimer", take_hrtimer, give_hrtimer },
	{ "delayed_work", take_delayed_work, give_delayed_work },
};

/* True if a comma-separated list of names contains a name. */
static bool listed(const char *list, const char *name)
{
	size_t length = strlen(name);

	if (!strcmp(list, "all"))
		return true;
	while (list) {
		if (!strncmp(list, name, length) && (!list[length] || list[length] == ','))
			return true;
		list = strchr(list, ',');
		list += list ? 1 : 0;
	}
	return false;
}

static noinline void take_one(struct kind *kind, const char __user *from)
{
	void *memory;

	if (kind->count == ARRAY_SIZE(kind->taken))
		return;
	memory = kind->take(from);
	if (memory)
		kind->taken[kind->count++] = memory;
}

static ssize_t take_write(struct file *file, const char __user *from, size_t length, loff_t *at)
{
	char text[64] = "", name[24] = "";
	unsigned int count = 1, j;
	size_t i;

	if (length >= sizeof(text))
		return -EINVAL;
	if (copy_from_user(text, from, length))
		return -EFAULT;
	if (sscanf(text, "%23s %u", name, &count) < 1)
		return -EINVAL;
	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (strcmp(name, "all") && strcmp(kinds[i].name, name))
			continue;
		for (j = 0; j < count; j++)
			take_one(&kinds[i], from);
	}
	return length;
}

static const struct file_operations take_operations = {
	.owner = THIS_MODULE,
	.write = take_write,
};

static int __init leaks_init(void)
{
	size_t i;

	cache = kmem_cache_create("kextlab_leaks", 200, 0, 0, NULL);
	if (!cache)
		return -ENOMEM;
	hrtimer_init(&precise, CLOCK_MONOTONIC, HRTIMER_MODE_REL);
	precise.function = beat;
	folder = debugfs_create_dir("kextlab_leaks", NULL);
	debugfs_create_file("take", 0200, folder, NULL, &take_operations);
	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		if (listed(take, kinds[i].name))
			take_one(&kinds[i], NULL);
	return 0;
}

static void __exit leaks_exit(void)
{
	size_t i;

	debugfs_remove(folder);
	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		struct kind *kind = &kinds[i];

		while (!listed(keep, kind->name) && kind->count)
			kind->give(kind->taken[--kind->count]);
	}
	if (!listed(keep, "cache"))
		kmem_cache_destroy(cache);
}

module_init(leaks_init);
module_exit(leaks_exit);
MODULE_DESCRIPTION("Takes resources and may keep them, for the lab's own tests");
MODULE_LICENSE("GPL");
