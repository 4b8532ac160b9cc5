# SPDX-License-Identifier: GPL-2.0-only
"""Functions that say nothing about who is at fault, grouped by the reason.

A report's function is the first on its stack that is in none of the groups. Each
entry is a regular expression for a whole name, without the compiler's suffixes.
The groups are data: add a name where its reason is.
"""

from __future__ import annotations

import re

# They print the report, or lead to where it is printed.
REPORTING = (
    r"dump_stack\w*|show_(?:stack|regs|trace)\w*|_?v?printk\w*|__warn\w*|warn_slowpath\w*"
    r"|report_bug|handle_bug|die\w*|__die\w*|oops_\w+|panic|vpanic|nmi_panic|print_\w+"
    r"|__report\w*|end_report|page_fault_oops|stack_trace_\w+|save_stack\w*|__save_stack\w*"
    r"|check_panic_on_warn|bust_spinlocks|unwind_\w+|arch_stack_walk|dump_cpu_task"
    r"|sched_show_task|__schedule_bug|__dump_stack|console_(?:unlock|flush\w*|emit\w*|trylock\w*)|serial\w+|early_serial\w*"
    r"|v?s?c?n?printf|\w*dev_\w*printk\w*|_dev_\w+|va_format|__dynamic_\w+dbg|netdev_printk"
    r"|__netdev_printk|univ8250_\w+|wait_for_xmitr|uart_console_write|nbcon_\w+|depot_\w+|stack_depot_\w+"
    r"|dump_header|oom_kill_process|out_of_memory|warn_alloc\w*|slab_out_of_memory",
)

# Entries of exceptions and interrupts, up to what they interrupted.
ENTRIES = (
    r"exc_\w+|asm_\w+|x?sysvec_\w+|__sysvec_\w+|common_interrupt|error_entry|do_error_trap",
    r"do_trap\w*|do_(?:invalid_op|general_protection|double_fault|int3|page_fault|nmi|debug)",
    r"__do_page_fault|do_user_addr_fault|do_kern_addr_fault|bad_area\w*|__bad_area\w*",
    r"no_context|kernelmode_fixup_or_oops|handle_page_fault|invalid_op|general_protection",
    r"double_fault|page_fault|async_page_fault|nmi_\w+|default_do_nmi|handle_stack_overflow",
    r"(?:smp_)?(?:trace_)?(?:apic_timer|call_function\w*|reschedule)_interrupt|do_IRQ",
    r"call_function_(?:single_)?interrupt|reschedule_interrupt|ret_from_intr|retint_\w+",
    r"restore_regs_and_iret|call_on_\w+|do_softirq_own_stack|do_softirq|__do_softirq",
    r"handle_softirqs|invoke_softirq|irq_exit\w*|__irq_exit\w*|irq_enter\w*|run_ksoftirqd",
    r"smpboot_thread_fn|arch_irq_work_raise|ex_handler_\w+|fixup_exception|early_\w*idt\w*",
    r"__handle_irq_event_percpu|handle_irq_event\w*|handle_(?:edge|fasteoi|level|simple)_irq",
    r"__common_interrupt|generic_handle_irq\w*|note_interrupt|__report_bad_irq",
)

# Trampolines that the compiler or the kernel calls functions through.
THUNKS = (
    r"__x86_indirect_\w+|__x86_return_thunk|srso_\w+|retbleed_\w+|entry_ibpb|__fentry__",
    r"ftrace_\w*caller\w*|ftrace_call|ftrace_trampoline|bpf_trampoline_\w+|arch_ftrace_ops_\w+",
    r"ftrace_ops_\w+func|return_to_handler|kretprobe_trampoline|__kretprobe_trampoline\w*",
    r"arch_rethook_trampoline|__SCT__\w+|__traceiter_\w+|bpf_dispatcher_\w+|__pfx_\w+",
    r"trace_hardirqs_\w+|trace_irq_\w+|irqentry_\w+|___?bpf_prog_run\w*",
)

# Detectors of the kernel: they find what another function did.
DETECTORS = (
    r"watchdog\w*|__?is_hardlockup|check_cpu_stall|print_cpu_stall\w*|rcu_\w+|__rcu\w*",
    r"synchronize_(?:s?rcu|sched|net)\w*|__synchronize_\w+|__call_rcu\w*|kvfree_call_rcu",
    r"ubsan_\w+|__ubsan_\w+|k(?:asan|fence|msan|csan)_\w+|__asan_\w+|__k(?:asan|fence)_\w+",
    r"__msan_\w+|__kmsan_\w+|msan_\w+|__kcsan_\w+|__tsan_\w+|__hwasan_\w+|__sanitizer_\w+|check_memory_region\w*",
    r"memory_is_\w+|bytes_is_\w+|check_(?:inline|region)\w*|check_for_memory\w*",
    r"kmsan_\w+|__might_\w+|__cant_\w+|___might_\w+|might_\w+|debug_\w+|__debug_\w+|lookup_object\w*",
    r"check_preemption_disabled|__this_cpu_preempt_check|smp_processor_id",
    r"debug_smp_processor_id|lockdep_\w+|lock_(?:acquire|release|is_held|pin|unpin|downgrade)\w*",
    r"__lock_\w+|mark_\w*lock\w*|mark_held_locks|validate_chain|check_(?:prev|prevs|noncircular)\w*",
    r"check_(?:usage|deadlock|irq_usage|wait_context|chain_key|flags)\w*|register_lock_class",
    r"assign_lock_key|look_up_lock_class|find_held_lock|__lockdep\w*|valid_state|mark_usage",
    r"add_lock_to_list|add_chain_\w+|lookup_chain_\w+|save_trace|reacquire_held_locks|ODEBUG\w*",
    r"__stack_chk_fail|fortify_panic|__fortify_\w+|usercopy_\w+|__check_object_size|__check_heap_object"
    r"|check_(?:page_span|heap_object|stack_object|bogus_address|kernel_text_object)\w*",
    r"hung_task\w*|check_hung_\w+|khungtaskd|rcu_sched_clock_irq|csd_\w+|__csd_\w+|netif_watchdog",
    r"dev_watchdog|dql_\w+|netdev_rx_csum_fault|refcount_\w+|__refcount\w+|ref_tracker_\w+",
    r"kref_\w+|__list_(?:add|del)\w*|list_\w+|hlock_class",
    r"page_(?:ref|owner)_\w+|bad_page\w*|__dump_page|dump_page|check_new_page\w*",
    r"free_page_is_bad|page_bad_reason|kmemleak_\w+|print_unreferenced|kobject_init",
    r"tick_\w+|hrtimer_interrupt|__hrtimer_run_queues|__run_hrtimer|update_process_times"
    r"|perf_trace_\w+|sched_tick|scheduler_tick|local_apic_timer_interrupt",
)

# Rust's way from a panic to the BUG that ends it, and its overflow checks.
RUST = (
    r"rust_begin_unwind|\w*17rust_begin_unwind|rust_helper_BUG|__rustc\w*|rust_panic\w*",
    # Mangled names: the path of a symbol in `core`, with the lengths of its parts.
    r"_R\w*4core\d*9panicking\w*|_R\w*9panicking\w*|_R\w*17rust_begin_unwind\w*"
    r"|_R\w*4core\d*6(?:result|option)\w*(?:failed|unwrap|expect)\w*|_R\w*4core\w*_fail\w*"
    r"|_R\w*4core\w*(?:index_fail|panic)\w*",
    r"_ZN4core9panicking\w*|_ZN4core\w*(?:unwrap_failed|expect_failed|_fail)\w*",
    r"(?:<?core|<?alloc|<?std)::.*|.*::panicking::.*|.*rust_begin_unwind",
)

# Allocators, and what they check when an object comes back.
ALLOCATORS = (
    r"object_err|slab_\w+|free_(?:debug|consistency|to_partial)\w*|check_(?:object|slab|bytes)\w*",
    r"on_freelist|alloc_debug\w*|_?__slab_\w+|___slab_\w+|_{0,4}cache_\w+",
    r"kv?[mzc]?alloc\w*|__kv?[mzc]?alloc\w*|k(?:v|z|vz|free)?free\w*|__kfree\w*",
    r"___?kmalloc\w*|__do_kmalloc\w*|__do_krealloc\w*|krealloc\w*|kmem_\w+|__kmem_\w+",
    r"kmalloc_\w+|do_slab_free|do_kmem_cache\w*|new_slab|allocate_slab|get_partial\w*|init_object",
    r"qlist_\w+|qlink_\w+|__quarantine\w*|quarantine_\w+|setup_object\w*|deactivate_slab",
    r"put_cpu_partial|__unfreeze_partials|__free_slab|discard_slab|memcg_slab_\w+|post_alloc_hook",
    r"prep_new_page|prep_compound_page|get_page_from_freelist|__alloc_pages\w*|alloc_pages\w*",
    r"___?alloc_pages\w*|__alloc_frozen\w*|alloc_frozen\w*|alloc_page\w*|__get_free_pages|get_free_pages\w*"
    r"|get_zeroed_page\w*|__alloc_reserved\w*|alloc_slab_page|rmqueue\w*|__rmqueue\w*|expand",
    r"__free_pages\w*|free_pages\w*|free_unref_\w+|free_frozen_\w+|__put_page|put_page|__folio_put\w*"
    r"|free_pcppages_bulk|free_pcp\w*|free_contig_range|__free_one_page|free_page\w*|free_the_page"
    r"|free_large_kmalloc|free_nonslab_page|free_tail_\w+|release_pages|free_compound_page",
    r"__vmalloc\w*|vmalloc\w*|vzalloc\w*|vfree\w*|__vunmap|__get_vm_area\w*|alloc_vmap_\w+",
    r"pcpu_\w+|__alloc_percpu\w*|alloc_percpu\w*|free_percpu|kvrealloc\w*|devm_k\w+alloc\w*",
    r"kmemdup\w*|memdup_\w+|vmemdup_\w+|kstr\w+|kasprintf|kvasprintf\w*|devm_kmemdup|devm_kstrdup\w*",
    r"slob_\w+|mempool_\w+|objcg_\w+|__do_cache_\w+|ptr_\w+|kasan_save_\w+",
    r"skb_over_panic|skb_under_panic|skb_panic|(?:__)?(?:new|alloc|build|napi_build)_skb\w*"
    r"|__(?:netdev|napi)_alloc_skb",
)

# Locks, and what waits for another task: the holder or the caller is at fault.
LOCKS = (
    r"_?_?raw_\w*(?:lock|unlock)\w*|_raw_\w+|(?:native_|__pv_)?queued_\w+|do_raw_\w+|__raw_\w+",
    r"native_\w+|pv_\w+|__pv_\w+|kvm_(?:wait|kick)\w*|spin_\w+|__spin\w*|rspin_\w+|resilient_\w+",
    r"mutex_\w+|__mutex_\w+|rwsem_\w+|__rwsem\w*|down\w*|__down\w*|up_(?:read|write)\w*|up|__up\w*",
    r"rt_mutex\w*|__rt_\w*mutex\w*|rtlock_\w+|rt_spin_\w+|ww_\w+|__ww_\w+|percpu_(?:down|up|rwsem)\w*",
    r"__percpu_(?:down|up)\w*|read_lock\w*|write_lock\w*|read_seq\w+|write_seq\w+|seqcount_\w+"
    r"|osq_\w+|lock_sock\w*|release_sock|__release_sock|arch_spin_\w+|optimistic_spin\w*",
    r"__?schedule\w*|schedule\w*|preempt_schedule\w*|io_schedule\w*|context_switch|do_task_dead",
    r"wait_(?:for|on|woken)\w+|__wait_(?:for|on)\w+|do_wait_for_common|out_of_line_wait\w*"
    r"|bit_wait\w*|__wait_rcu_gp|prepare_to_\w*wait\w*|finish_wait|___wait_event\w*|do_nanosleep"
    r"|(?:__)?s?wake_up\w*|try_to_wake_up|complete|complete_all|ep_poll_callback|hrtimer_nanosleep|msleep\w*|usleep\w*|fsleep|__cond_resched|_cond_resched|completion_\w+",
    r"preempt_count_\w+|local_bh_\w+|__local_bh_\w+|_local_bh_\w+|migrate_\w+|preempt_\w+"
    r"|stop_(?:one|two)_cpus?\w*|rwbase_\w+|rt_(?:read|write)_\w*lock\w*|lockref_\w+|up_\w+",
)

# Waits that are a part of their caller's work.
WAITS = (
    r"rtnl_lock\w*|rtnl_unlock|flush_work\w*|__flush_work\w*|flush_workqueue|__flush_workqueue"
    r"|start_flush_work|cancel_(?:delayed_)?work\w*|__cancel_work\w*|drain_workqueue"
    r"|del_timer_sync|timer_delete_sync|__timer_delete_sync|kthread_stop\w*|console_lock"
    r"|synchronize_(?:s?rcu|sched|net)\w*|lock_page|__lock_page\w*|folio_lock\w*|__folio_lock\w*"
    r"|__remove_hrtimer|exit_to_user_mode_\w+|hrtimer_active"
    r"|folio_wait_bit\w*|lock_mount|lock_rename|inode_lock\w*|smp_call_function\w*|on_each_cpu\w*",
)

# The core of drivers and of network devices: a driver gave it what it complains about.
CORES = (
    r"sysfs_\w+|kernfs_(?:add|create|remove|new|find)\w*|dpm_sysfs_\w+|device_(?:add|del|create|destroy)\w*"
    r"|device_(?:un)?register|put_device|get_device|device_release\w*|__device_\w+|bus_\w+_device"
    r"|device_initial_probe|really_probe|(?:__)?driver_\w+",
    r"rollback_registered\w*|unregister_netdev\w*|register_netdev\w*|free_netdev|netdev_run_todo"
    r"|usb_(?:submit|kill)_urb|usb_control_msg|usb_bulk_msg|usb_start_wait_urb|proc_register\w*"
    r"|proc_create\w*|_?proc_mkdir\w*|remove_proc_\w+|dev_close_many|dev_(?:open|close)",
)

# Where every task, timer and work item comes from.
ROOTS = (
    r"kthread|ret_from_fork\w*|worker_thread|process_one_work|process_scheduled_works",
    r"do_syscall_\w+|x64_sys_call|ia32_sys_call|entry_\w+|do_fast_syscall_32|__do_fast_syscall_32",
    r"do_idle|cpu_startup_entry|(?:arch_cpu|default)_idle\w*|cpuidle_\w+|start_secondary|rest_init",
    r"secondary_startup_64\w*|start_kernel|x86_64_start_\w+|cpu_idle\w*|common_startup_64|mwait_idle"
    r"|acpi_(?:idle|safe)\w*|intel_idle\w*|poll_idle|haltpoll\w*|safe_halt",
    r"system_call\w*|sysenter_\w+|tracesys\w*|stub_\w+|ret_fast_syscall|syscall_\w+",
)

# Clocks and delays.
CLOCKS = (
    r"local_clock\w*|sched_clock\w*|clear_sched_clock_stable|ktime_get\w*|kvm_clock_\w+",
    r"delay_\w+|__delay|__const_udelay|__udelay|__ndelay|cpu_relax|rep_nop|read_hpet|rdtsc\w*",
    r"pvclock_\w+|timekeeping_\w+|getnstimeofday\w*|do_gettimeofday|clocksource_\w+|read_tsc",
)

# Calls to other CPUs.
CALLS = (
    r"smp_call_function\w*|irq_work_\w+|__irq\w*|__smp_\w+|generic_exec_single|flush_smp_\w+"
    r"|__flush_smp_\w+|generic_smp_call\w*|on_each_cpu\w*|arch_send_call\w*|stop_machine\w*"
    r"|multi_cpu_stop|cpu_stopper_thread|cpu_stop_\w+|stop_core_\w+",
)

# Copies, strings and bits: what is wrong is what they were given.
LIBRARY = (
    r"mem(?:cpy|set|move|cmp|scan|chr)\w*|__mem\w+|str\w+|rep_(?:movs|stos)\w*|copy_(?:from|to|user)\w*",
    r"_?_copy_(?:from|to|user)\w*|__copy_\w+|_inline_copy_\w+|instrument_\w+|raw_copy_\w+|clear_user\w*",
    r"__(?:get|put)_user\w*|(?:get|put)_user\w*|check_copy_size|check_object_size|strncpy_from_user",
    r"(?:arch_)?(?:__)?(?:test|set|clear|change)_(?:and_)?\w*bit\w*|(?:arch_|raw_)?atomic\w*|__atomic\w*",
    r"__read_once\w*|__write_once\w*|read_word_at_a_time|__write_once_size|_find_\w*bit\w*|find_\w*bit\w*"
    r"|(?:arch_)?cmpxchg\w*|xchg\w*|memzero\w*|clear_page\w*|copy_page\w*|copy_mc_\w+|csum_partial\w*",
    r"sscanf|vsscanf|string\w*|number|pointer|format_decode|hex_\w+|_?copy_(?:page_)?(?:to|from)_iter\w*|__bad_copy\w*|copy_overflow",
    r"fls\w*|ffs\w*|hweight\w*|__sw_hweight\w*"
    r"|u64_stats_\w+|get_current|array_index_\w+",
)

# Containers: what they hold is their caller's.
CONTAINERS = (
    r"(?:__)?(?:hlist|plist|llist|rb|kref|percpu_ref|idr|ida|radix_tree|xas|xa|mas|mt|rht)_\w+"
    r"|(?:__)?rhashtable_\w+|kobject_\w+|kset_\w+|(?:__)?bitmap_\w+|timerqueue_\w+|sort\w*"
    r"|bsearch|crc32\w*|iov_iter_\w+|klist_\w+|assoc_array_\w+|interval_tree_\w+|kfifo_\w+",
    r"skb_put|skb_push|skb_pull|(?:__)?kfree_skb\w*|consume_skb|skb_release_\w+|pskb_expand_head"
    r"|skb_\w*(?:dequeue|queue|purge|trim)\w*|call_rcu\w*|__call_rcu\w*|kvfree_call_rcu|rcu_core\w*"
    r"|rcu_do_batch|rcu_cblist_\w+|rcu_segcblist_\w+|unwind_next_frame|__unwind_start",
    r"(?:__)?bad_area\w*|do_(?:user|kern)_addr_fault|no_context|refcount_\w+_not_one",
)

# Cryptographic algorithms: their caller gave them the data.
CRYPTO = (
    r"(?:__)?(?:crypto|drbg|rng|jent|skcipher|shash|ahash|aead|akcipher|cipher|scatterwalk|blkcipher)_\w+",
    r"(?:lib_|__)?(?:aes|aesti|aesni|sha\d+|chacha\w*|poly1305|ghash|gf128mul|xts|cbc|ecb)_\w+",
)

# Lists of pages that are freed later: the one that freed one too early is not there.
PAGE_LISTS = (
    r"folios_put\w*|folio_(?:add_lru|batch_move_lru|put)\w*|lru_add_\w+|pagevec_\w+|__pagevec_\w+"
    r"|free_swap_cache|free_pages_and_swap_cache|tlb_\w+|__folio_batch\w*|__tlb_\w+",
)

# Lists of timers and of work: who queued or freed one is at fault.
TIMERS = (
    r"lock_timer_base|(?:__)?(?:try_to_)?del_timer\w*|__?try_to_del_timer\w*|timer_\w+|__timer_\w+"
    r"|__?mod_timer\w*|add_timer\w*|detach_\w*timer\w*|enqueue_timer|sk_(?:stop|reset)_timer\w*"
    r"|hrtimer_(?:try_to_)?cancel\w*|hrtimer_start\w*|__hrtimer_start\w*",
    r"work_is_static_object|_{0,3}queue_\w*work\w*|mod_delayed_work\w*|insert_work|get_work_pool"
    r"|schedule_(?:delayed_)?work\w*|queue_rcu_work|irq_work_queue\w*|task_work_(?:add|cancel)\w*",
)

# The functions that are at fault only where their caller can't be: they are named, but
# never as the function at fault.
DOUBTFUL: tuple[str, ...] = (*WAITS, *CORES, *CONTAINERS, *CRYPTO, *PAGE_LISTS, *TIMERS)

# They hand a request on to its handler: the outermost function of a stack that is none
# of these is the handler.
DISPATCH = (
    r"__(?:x64|ia32|se|do)_(?:compat_)?sys_\w+|__*sys_\w+|ksys_\w+|do_sys_\w+|SyS_\w+|do_compat_\w+",
    r"vfs_\w+|do_vfs_\w+|do_iter_\w+|new_sync_\w+|call_(?:read|write)_iter|__vfs_\w+|iterate_dir",
    r"do_dentry_open|do_open\w*|path_openat|do_filp_open|do_last|path_mount|do_mount|do_new_mount",
    r"(?:__)?sock_(?:sendmsg|recvmsg)\w*|sock_(?:write|read)_iter|sock_ioctl|sock_do_ioctl|sock_common_\w+",
    r"_*netlink_\w+|rtnetlink_rcv\w*|nfnetlink_\w+|genl_\w+|call_ad|inet_sendmsg|inet6_sendmsg",
    r"task_work_run|exit_to_user\w*|(?:__)?prepare_exit\w*|syscall_\w+|do_exit|do_group_exit|get_signal"
    r"|net_(?:rx|tx)_action|(?:__)?napi_\w+|process_backlog|(?:__)?netif_receive_skb\w*|netif_rx\w*"
    r"|tasklet_\w+|blk_done_softirq|blk_complete_reqs|usb_giveback_urb_bh|rcu_core\w*|hub_event"
    r"|(?:__)?usb_hcd_giveback_urb|loop_\w*work\w*|io_wq\w+|io_worker\w*|handle_irq\w*"
    r"|(?:__)?handle_(?:mm_fault|pte_fault)|(?:__)?do_(?:read_|shared_|cow_)?fault|do_anonymous_page"
    r"|run_timer_softirq|call_timer_fn|expire_timers|__run_timers|__run_timer_base"
    r"|arch_do_signal\w*|do_signal|__fput|____fput|fput|delayed_fput|hrtimer_run_softirq",
)

# The functions that no report is about.
NEVER: tuple[str, ...] = (
    *REPORTING, *ENTRIES, *THUNKS, *DETECTORS, *RUST, *ALLOCATORS, *LOCKS, *ROOTS, *CLOCKS,
    *CALLS, *LIBRARY,
)  # fmt: skip

_NEVER = re.compile(rf"(?:{'|'.join(NEVER)})")
_DISPATCH = re.compile(rf"(?:{'|'.join(DISPATCH)})")
_DOUBTFUL = re.compile(rf"(?:{'|'.join(DOUBTFUL)})")


def skipped(name: str) -> bool:
    """Return whether a function says nothing about who is at fault."""
    return bool(_NEVER.fullmatch(name)) and not doubtful(name)


def doubtful(name: str) -> bool:
    """Return whether a function is rather not at fault, but its caller."""
    return bool(_DOUBTFUL.fullmatch(name))


def dispatches(name: str) -> bool:
    """Return whether a function only hands a request on to its handler."""
    return bool(_DISPATCH.fullmatch(name))
