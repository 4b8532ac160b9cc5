// SPDX-License-Identifier: GPL-2.0-only
/*
 * hostile - hide facts, with the kernel's rights, from oracles that read in the guest
 *
 * Only for the tests of the lab. `what=warning` warns, keeps the warning out of the log and
 * off the console, and resets the kernel's counters of it. `what=stay` removes the module from
 * the list of modules, so that it stays loaded and invisible.
 */
#include <linux/kprobes.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/panic.h>
#include <linux/printk.h>

static char *what = "";
module_param(what, charp, 0444);

typedef unsigned long (*lookup_name)(const char *name);

/* kallsyms_lookup_name() is not exported; a kprobe can find any function. */
static unsigned long address_of(const char *name)
{
	static lookup_name lookup;
	struct kprobe probe = { .symbol_name = "kallsyms_lookup_name" };

	if (!lookup) {
		if (register_kprobe(&probe))
			return 0;
		lookup = (lookup_name)probe.addr;
		unregister_kprobe(&probe);
	}
	return lookup(name);
}

static int hide_warning(void)
{
	unsigned long *taint = (unsigned long *)address_of("tainted_mask");
	atomic_t *count = (atomic_t *)address_of("warn_count");
	int *silent = (int *)address_of("suppress_printk");

	if (!taint || !count || !silent)
		return -ENOENT;
	*silent = 1; /* neither the console nor the log gets the message */
	WARN(1, "nobody hears this");
	*silent = 0;
	clear_bit(TAINT_WARN, taint);
	atomic_dec(count);
	pr_info("kextlab: a warning was hidden\n");
	return 0;
}

static int __init hostile_init(void)
{
	if (!strcmp(what, "warning"))
		return hide_warning();
	if (!strcmp(what, "stay")) {
		list_del_rcu(&THIS_MODULE->list);
		return 0;
	}
	return -EINVAL;
}

static void __exit hostile_exit(void)
{
}

module_init(hostile_init);
module_exit(hostile_exit);
MODULE_DESCRIPTION("Hides from the lab's oracles, for its own tests");
MODULE_LICENSE("GPL");
