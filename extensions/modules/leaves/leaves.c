// SPDX-License-Identifier: GPL-2.0-only
/*
 * leaves - register one object of a kind, and remove it or not
 *
 *   insmod leaves.ko what=proc            # a /proc entry that stays after rmmod
 *   insmod leaves.ko what=proc release=1  # the same, removed by rmmod
 *   insmod leaves.ko what=all release=1   # one of each kind, all removed
 *
 * It proves that the lab sees each kind of object that a faulty module leaves
 * behind, and that it reports nothing for a correct one. Using a leftover object
 * would run unloaded code, so these objects are never used.
 */
#include <linux/binfmts.h>
#include <linux/cdev.h>
#include <linux/cpuhotplug.h>
#include <linux/debugfs.h>
#include <linux/device.h>
#include <linux/err.h>
#include <linux/etherdevice.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/ftrace.h>
#include <linux/if_ether.h>
#include <linux/interrupt.h>
#include <linux/ioport.h>
#include <linux/kprobes.h>
#include <linux/kthread.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/netdevice.h>
#include <linux/notifier.h>
#include <linux/proc_fs.h>
#include <linux/reboot.h>
#include <linux/rtnetlink.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/sysctl.h>
#include <linux/sysfs.h>
#include <linux/tracepoint.h>
#include <linux/version.h>
#include <linux/workqueue.h>

static char *what = "none";
module_param(what, charp, 0444);
MODULE_PARM_DESC(what, "the kind of object to register, or all");

static bool release;
module_param(release, bool, 0444);
MODULE_PARM_DESC(release, "give back what was registered when the module is unloaded");

/* There is only one, and nothing calls it while a guest runs. */
#define COLD_FUNCTION "kernel_restart"
#define FREE_PORT 0x5a0
#define FREE_INTERRUPT 5

/* Files */

static const struct proc_ops proc_operations = {};

static int take_proc(void)
{
	return proc_create("leaves", 0444, NULL, &proc_operations) ? 0 : -ENOMEM;
}

static void give_proc(void)
{
	remove_proc_entry("leaves", NULL);
}

static struct kobject *object;

static int take_sysfs(void)
{
	object = kobject_create_and_add("leaves", kernel_kobj);
	return object ? 0 : -ENOMEM;
}

static void give_sysfs(void)
{
	kobject_put(object);
}

static struct dentry *debug_folder;

static int take_debugfs(void)
{
	debug_folder = debugfs_create_dir("leaves", NULL);
	return PTR_ERR_OR_ZERO(debug_folder);
}

static void give_debugfs(void)
{
	debugfs_remove(debug_folder);
}

static int number = 7;
static struct ctl_table_header *sysctl_header;
static struct ctl_table sysctl_table[] = {
	{
		.procname = "number",
		.data = &number,
		.maxlen = sizeof(number),
		.mode = 0644,
		.proc_handler = proc_dointvec,
	},
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 6, 0)
	{}
#endif
};

static int take_sysctl(void)
{
	sysctl_header = register_sysctl("leaves", sysctl_table);
	return sysctl_header ? 0 : -ENOMEM;
}

static void give_sysctl(void)
{
	unregister_sysctl_table(sysctl_header);
}

/* The same in a folder of the kernel: listing that folder follows a pointer to the table. */
static struct ctl_table_header *kernel_sysctl_header;
static struct ctl_table kernel_sysctl_table[] = {
	{
		.procname = "leaves_number",
		.data = &number,
		.maxlen = sizeof(number),
		.mode = 0644,
		.proc_handler = proc_dointvec,
	},
#if LINUX_VERSION_CODE < KERNEL_VERSION(6, 6, 0)
	{}
#endif
};

static int take_kernel_sysctl(void)
{
	kernel_sysctl_header = register_sysctl("kernel", kernel_sysctl_table);
	return kernel_sysctl_header ? 0 : -ENOMEM;
}

static void give_kernel_sysctl(void)
{
	unregister_sysctl_table(kernel_sysctl_header);
}

static struct file *held;

static int take_file(void)
{
	held = filp_open("/tmp/leaves", O_RDWR | O_CREAT, 0600);
	return PTR_ERR_OR_ZERO(held);
}

static void give_file(void)
{
	filp_close(held, NULL);
}

/* Devices */

static const struct file_operations operations = {};
static int major;

static int take_chardev(void)
{
	major = register_chrdev(0, "leaves", &operations);
	return major < 0 ? major : 0;
}

static void give_chardev(void)
{
	unregister_chrdev(major, "leaves");
}

static struct miscdevice misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "leaves_misc",
	.fops = &operations,
};

static int take_misc(void)
{
	return misc_register(&misc);
}

static void give_misc(void)
{
	misc_deregister(&misc);
}

static irqreturn_t on_interrupt(int interrupt, void *data)
{
	return IRQ_NONE;
}

static int take_interrupt(void)
{
	return request_irq(FREE_INTERRUPT, on_interrupt, 0, "leaves", &number);
}

static void give_interrupt(void)
{
	free_irq(FREE_INTERRUPT, &number);
}

static int take_ioport(void)
{
	return request_region(FREE_PORT, 4, "leaves") ? 0 : -EBUSY;
}

static void give_ioport(void)
{
	release_region(FREE_PORT, 4);
}

/* Network */

static netdev_tx_t transmit(struct sk_buff *buffer, struct net_device *device)
{
	dev_kfree_skb(buffer);
	return NETDEV_TX_OK;
}

static const struct net_device_ops device_operations = { .ndo_start_xmit = transmit };
static struct net_device *device;

static int take_netdev(void)
{
	int error;

	device = alloc_netdev(0, "leaves%d", NET_NAME_UNKNOWN, ether_setup);
	if (!device)
		return -ENOMEM;
	device->netdev_ops = &device_operations;
	eth_hw_addr_random(device);
	error = register_netdev(device);
	if (error)
		free_netdev(device);
	return error;
}

static void give_netdev(void)
{
	unregister_netdev(device);
	free_netdev(device);
}

static struct net_device *loopback;

static int take_netdev_ref(void)
{
	loopback = dev_get_by_name(&init_net, "lo");
	return loopback ? 0 : -ENODEV;
}

static void give_netdev_ref(void)
{
	dev_put(loopback);
}

static int on_packet(struct sk_buff *buffer, struct net_device *from, struct packet_type *type,
		     struct net_device *original)
{
	kfree_skb(buffer);
	return 0;
}

static struct packet_type packets = {
	.type = cpu_to_be16(0x88b5), /* for experiments; never sent here */
	.func = on_packet,
};

static int take_packet(void)
{
	dev_add_pack(&packets);
	return 0;
}

static void give_packet(void)
{
	dev_remove_pack(&packets);
}

/* Callbacks */

static int on_reboot(struct notifier_block *block, unsigned long event, void *data)
{
	return NOTIFY_DONE;
}

static struct notifier_block reboot_block = { .notifier_call = on_reboot };

static int take_notifier(void)
{
	return register_reboot_notifier(&reboot_block);
}

static void give_notifier(void)
{
	unregister_reboot_notifier(&reboot_block);
}

static int on_device(struct notifier_block *block, unsigned long event, void *data)
{
	return NOTIFY_DONE;
}

static struct notifier_block device_block = { .notifier_call = on_device };

static int take_netdev_notifier(void)
{
	return register_netdevice_notifier(&device_block);
}

static void give_netdev_notifier(void)
{
	unregister_netdevice_notifier(&device_block);
}

static int on_probe(struct kprobe *probe, struct pt_regs *registers)
{
	return 0;
}

static struct kprobe probe = { .symbol_name = COLD_FUNCTION, .pre_handler = on_probe };

static int take_kprobe(void)
{
	return register_kprobe(&probe);
}

static void give_kprobe(void)
{
	unregister_kprobe(&probe);
}

#ifdef CONFIG_FUNCTION_TRACER
static void on_call(unsigned long address, unsigned long parent, struct ftrace_ops *hook,
		    struct ftrace_regs *registers)
{
}

static struct ftrace_ops hook = { .func = on_call };

static int take_ftrace(void)
{
	int error = ftrace_set_filter(&hook, COLD_FUNCTION, strlen(COLD_FUNCTION), 1);

	return error ?: register_ftrace_function(&hook);
}

static void give_ftrace(void)
{
	unregister_ftrace_function(&hook);
	ftrace_free_filter(&hook);
}
#endif

static struct tracepoint *point;

static void find_point(struct tracepoint *one, void *name)
{
	if (!strcmp(one->name, name))
		point = one;
}

static void on_point(void *data)
{
}

static int take_tracepoint(void)
{
	for_each_kernel_tracepoint(find_point, "swiotlb_bounced");
	return point ? tracepoint_probe_register(point, on_point, NULL) : -ENOENT;
}

static void give_tracepoint(void)
{
	tracepoint_probe_unregister(point, on_point, NULL);
	tracepoint_synchronize_unregister();
}

static int state;

static int on_cpu(unsigned int cpu)
{
	return 0;
}

static int take_cpu_hotplug(void)
{
	state = cpuhp_setup_state_nocalls(CPUHP_AP_ONLINE_DYN, "leaves:online", on_cpu, on_cpu);
	return state < 0 ? state : 0;
}

static void give_cpu_hotplug(void)
{
	cpuhp_remove_state_nocalls(state);
}

static struct file_system_type type = { .owner = THIS_MODULE, .name = "leaves" };

static int take_filesystem(void)
{
	return register_filesystem(&type);
}

static void give_filesystem(void)
{
	unregister_filesystem(&type);
}

static int load_nothing(struct linux_binprm *program)
{
	return -ENOEXEC;
}

static struct linux_binfmt format = { .module = THIS_MODULE, .load_binary = load_nothing };

static int take_binary_format(void)
{
	register_binfmt(&format);
	return 0;
}

static void give_binary_format(void)
{
	unregister_binfmt(&format);
}

/* Threads and memory */

static struct task_struct *thread;

static int wait_for_end(void *data)
{
	while (!kthread_should_stop()) {
		set_current_state(TASK_IDLE);
		if (!kthread_should_stop())
			schedule();
	}
	__set_current_state(TASK_RUNNING);
	return 0;
}

static int take_thread(void)
{
	thread = kthread_run(wait_for_end, NULL, "leaves");
	return PTR_ERR_OR_ZERO(thread);
}

static void give_thread(void)
{
	kthread_stop(thread);
}

static struct workqueue_struct *queue;

static int take_workqueue(void)
{
	queue = alloc_workqueue("leaves_queue", 0, 0);
	return queue ? 0 : -ENOMEM;
}

static void give_workqueue(void)
{
	destroy_workqueue(queue);
}

static struct kmem_cache *cache;

static int take_slab_cache(void)
{
	cache = kmem_cache_create("leaves_cache", 264, 0, 0, NULL);
	return cache ? 0 : -ENOMEM;
}

static void give_slab_cache(void)
{
	kmem_cache_destroy(cache);
}

static const struct kind {
	const char *name;
	int (*take)(void);
	void (*give)(void);
} kinds[] = {
	{ "proc", take_proc, give_proc },
	{ "sysfs", take_sysfs, give_sysfs },
	{ "debugfs", take_debugfs, give_debugfs },
	{ "sysctl", take_sysctl, give_sysctl },
	{ "kernel_sysctl", take_kernel_sysctl, give_kernel_sysctl },
	{ "file", take_file, give_file },
	{ "chardev", take_chardev, give_chardev },
	{ "misc", take_misc, give_misc },
	{ "interrupt", take_interrupt, give_interrupt },
	{ "ioport", take_ioport, give_ioport },
	{ "netdev", take_netdev, give_netdev },
	{ "netdev_ref", take_netdev_ref, give_netdev_ref },
	{ "packet", take_packet, give_packet },
	{ "notifier", take_notifier, give_notifier },
	{ "netdev_notifier", take_netdev_notifier, give_netdev_notifier },
	{ "kprobe", take_kprobe, give_kprobe },
#ifdef CONFIG_FUNCTION_TRACER
	{ "ftrace", take_ftrace, give_ftrace },
#endif
	{ "tracepoint", take_tracepoint, give_tracepoint },
	{ "cpu_hotplug", take_cpu_hotplug, give_cpu_hotplug },
	{ "filesystem", take_filesystem, give_filesystem },
	{ "binary_format", take_binary_format, give_binary_format },
	{ "thread", take_thread, give_thread },
	{ "workqueue", take_workqueue, give_workqueue },
	{ "slab_cache", take_slab_cache, give_slab_cache },
};

static bool taken[ARRAY_SIZE(kinds)];

static void give_all(void)
{
	int i;

	for (i = ARRAY_SIZE(kinds) - 1; i >= 0; i--)
		if (taken[i])
			kinds[i].give();
}

static int __init leaves_init(void)
{
	int i, error;

	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		if (strcmp(what, kinds[i].name) && strcmp(what, "all"))
			continue;
		error = kinds[i].take();
		if (error) {
			pr_err("%s can't be registered: %d\n", kinds[i].name, error);
			give_all();
			return error;
		}
		taken[i] = true;
	}
	return 0;
}

static void __exit leaves_exit(void)
{
	if (release)
		give_all();
}

module_init(leaves_init);
module_exit(leaves_exit);
MODULE_DESCRIPTION("Leaves kernel objects behind, or gives them back");
MODULE_LICENSE("GPL");
