# SPDX-License-Identifier: GPL-2.0-only
"""Functions that do not show which code is at fault, grouped by the reason.

A report's function is the first on its stack that is in none of the groups. Names are
without the compiler's suffixes; `*` stands for any characters. The groups are data: add
a name to the group with its reason.
"""

from __future__ import annotations

import re

# They print the report, or lead to where it is printed.
REPORTING = """
    *dev_*printk* __die* __dump_stack __dynamic_*dbg __report* __save_stack* __schedule_bug
    __warn* _dev_* _printk* _vprintk* arch_stack_walk bust_spinlocks check_panic_on_warn
    console_emit* console_flush* console_trylock* console_unlock depot_* die* dump_cpu_task
    dump_header dump_stack* early_serial* end_report handle_bug nbcon_* nmi_panic
    oom_kill_process oops_* out_of_memory page_fault_oops panic print_* printf printk*
    report_bug save_stack* sched_show_task scnprintf serial* show_regs* show_stack* show_trace*
    slab_out_of_memory snprintf sprintf stack_depot_* stack_trace_* uart_console_write
    univ8250_* unwind_* va_format vpanic vprintf vprintk* vscnprintf vsnprintf vsprintf
    wait_for_xmitr warn_alloc* warn_slowpath*
"""

# Entries of exceptions and interrupts, up to what they interrupted.
ENTRIES = """
    __bad_area* __common_interrupt __do_page_fault __do_softirq __handle_irq_event_percpu
    __irq_exit* __report_bad_irq __sysvec_* apic_timer_interrupt arch_irq_work_raise asm_*
    async_page_fault bad_area* call_function*_interrupt call_on_* common_interrupt
    default_do_nmi do_IRQ do_debug do_double_fault do_error_trap do_general_protection do_int3
    do_invalid_op do_kern_addr_fault do_nmi do_page_fault do_softirq do_softirq_own_stack
    do_trap* do_user_addr_fault double_fault early_*idt* error_entry ex_handler_* exc_*
    fixup_exception general_protection generic_handle_irq* handle_edge_irq handle_fasteoi_irq
    handle_irq_event* handle_level_irq handle_page_fault handle_simple_irq handle_softirqs
    handle_stack_overflow invalid_op invoke_softirq irq_enter* irq_exit*
    kernelmode_fixup_or_oops nmi_* no_context note_interrupt page_fault reschedule_interrupt
    restore_regs_and_iret ret_from_intr retint_* run_ksoftirqd smp_apic_timer_interrupt
    smp_call_function*_interrupt smp_reschedule_interrupt smp_trace_apic_timer_interrupt
    smp_trace_call_function*_interrupt smp_trace_reschedule_interrupt smpboot_thread_fn sysvec_*
    trace_apic_timer_interrupt trace_call_function*_interrupt trace_reschedule_interrupt
"""

# Trampolines that the compiler or the kernel calls functions through.
THUNKS = """
    __SCT__* ___bpf_prog_run* __bpf_prog_run* __fentry__ __kretprobe_trampoline* __pfx_*
    __traceiter_* __x86_indirect_* __x86_return_thunk arch_ftrace_ops_* arch_rethook_trampoline
    bpf_dispatcher_* bpf_trampoline_* entry_ibpb ftrace_*caller* ftrace_call ftrace_ops_*func
    ftrace_trampoline irqentry_* kretprobe_trampoline retbleed_* return_to_handler srso_*
    trace_hardirqs_* trace_irq_*
"""

# Detectors of the kernel: they find what another function did.
DETECTORS = """
    ODEBUG* ___might_* __asan_* __call_rcu* __cant_* __check_heap_object __check_object_size
    __csd_* __debug_* __dump_page __fortify_* __hrtimer_run_queues __hwasan_* __is_hardlockup
    __kasan_* __kcsan_* __kfence_* __kmsan_* __list_add* __list_del* __lock_* __lockdep*
    __might_* __msan_* __rcu* __refcount* __run_hrtimer __sanitizer_* __stack_chk_fail
    __synchronize_* __this_cpu_preempt_check __tsan_* __ubsan_* _is_hardlockup add_chain_*
    add_lock_to_list assign_lock_key bad_page* bytes_is_* check_bogus_address* check_chain_key*
    check_cpu_stall check_deadlock* check_flags* check_for_memory* check_heap_object*
    check_hung_* check_inline* check_irq_usage* check_kernel_text_object* check_memory_region*
    check_new_page* check_noncircular* check_page_span* check_preemption_disabled check_prev*
    check_region* check_stack_object* check_usage* check_wait_context* csd_* debug_*
    dev_watchdog dql_* dump_page find_held_lock fortify_panic free_page_is_bad hlock_class
    hrtimer_interrupt hung_task* kasan_* kcsan_* kfence_* khungtaskd kmemleak_* kmsan_*
    kobject_init kref_* kvfree_call_rcu list_* local_apic_timer_interrupt lock_acquire*
    lock_downgrade* lock_is_held* lock_pin* lock_release* lock_unpin* lockdep_*
    look_up_lock_class lookup_chain_* lookup_object* mark_*lock* mark_usage memory_is_* might_*
    msan_* netdev_rx_csum_fault netif_watchdog page_bad_reason page_owner_* page_ref_*
    perf_trace_* print_cpu_stall* print_unreferenced rcu_* reacquire_held_locks ref_tracker_*
    refcount_* register_lock_class save_trace sched_tick scheduler_tick smp_processor_id
    synchronize_net* synchronize_rcu* synchronize_sched* synchronize_srcu* tick_* ubsan_*
    update_process_times usercopy_* valid_state validate_chain watchdog*
"""

# Rust's way from a panic to the BUG that ends it, and its overflow checks.
RUST = """
    *::panicking::* *rust_begin_unwind <alloc::* <core::* <std::* _R*17rust_begin_unwind*
    _R*4core*6option*expect* _R*4core*6option*failed* _R*4core*6option*unwrap*
    _R*4core*6result*expect* _R*4core*6result*failed* _R*4core*6result*unwrap* _R*4core*_fail*
    _R*4core*panic* _R*9panicking* _ZN4core*_fail* _ZN4core9panicking* __rustc* alloc::* core::*
    rust_helper_BUG rust_panic* std::*
"""

# Allocators, and their checks when an object is freed.
ALLOCATORS = """
    ____cache_* ___alloc_pages* ___cache_* ___kmalloc* ___slab_* __alloc_frozen* __alloc_pages*
    __alloc_percpu* __alloc_reserved* __alloc_skb* __build_skb* __cache_* __do_cache_*
    __do_kmalloc* __do_krealloc* __folio_put* __free_one_page __free_pages* __free_slab
    __get_free_pages __get_vm_area* __kalloc* __kcalloc* __kfree* __kmalloc* __kmem_* __kvalloc*
    __kvcalloc* __kvmalloc* __kvzalloc* __kzalloc* __napi_alloc_skb __napi_build_skb*
    __netdev_alloc_skb __new_skb* __put_page __quarantine* __rmqueue* __slab_*
    __unfreeze_partials __vmalloc* __vunmap _cache_* alloc_debug* alloc_frozen* alloc_page*
    alloc_percpu* alloc_skb* alloc_slab_page alloc_vmap_* allocate_slab build_skb* cache_*
    check_bytes* check_object* check_slab* deactivate_slab devm_k*alloc* devm_kmemdup
    devm_kstrdup* discard_slab do_kmem_cache* do_slab_free expand free_compound_page
    free_consistency* free_contig_range free_debug* free_frozen_* free_large_kmalloc
    free_nonslab_page free_page* free_pcp* free_percpu free_tail_* free_the_page
    free_to_partial* free_unref_* get_free_pages* get_page_from_freelist get_partial*
    get_zeroed_page* init_object kalloc* kasan_save_* kasprintf kcalloc* kfree* kmalloc* kmem_*
    kmemdup* krealloc* kstr* kvalloc* kvasprintf* kvcalloc* kvfree* kvmalloc* kvrealloc*
    kvzalloc* kvzfree* kzalloc* kzfree* memcg_slab_* memdup_* mempool_* napi_build_skb* new_skb*
    new_slab objcg_* object_err on_freelist pcpu_* post_alloc_hook prep_compound_page
    prep_new_page ptr_* put_cpu_partial put_page qlink_* qlist_* quarantine_* release_pages
    rmqueue* setup_object* skb_over_panic skb_panic skb_under_panic slab_* slob_* vfree*
    vmalloc* vmemdup_* vzalloc*
"""

# Locks, and waits for another task: the holder or the caller is at fault.
LOCKS = """
    ___wait_event* __cond_resched __down* __local_bh_* __mutex_* __percpu_down* __percpu_up*
    __pv_* __raw_* __release_sock __rt_*mutex* __rwsem* __schedule* __spin* __swake_up* __up*
    __wait_for* __wait_on* __wait_rcu_gp __wake_up* __ww_* _cond_resched _local_bh_* _raw_*
    _schedule* arch_spin_* bit_wait* complete complete_all completion_* context_switch
    do_nanosleep do_raw_* do_task_dead do_wait_for_common down* ep_poll_callback finish_wait
    fsleep hrtimer_nanosleep io_schedule* kvm_kick* kvm_wait* local_bh_* lock_sock* lockref_*
    migrate_* msleep* mutex_* native_* optimistic_spin* osq_* out_of_line_wait* percpu_down*
    percpu_rwsem* percpu_up* preempt_* prepare_to_*wait* pv_* queued_* raw_*lock* read_lock*
    read_seq* release_sock resilient_* rspin_* rt_mutex* rt_read_*lock* rt_spin_*
    rt_write_*lock* rtlock_* rwbase_* rwsem_* schedule* seqcount_* spin_* stop_one_cpu*
    stop_two_cpu* swake_up* try_to_wake_up up up_* usleep* wait_for* wait_on* wait_woken*
    wake_up* write_lock* write_seq* ww_*
"""

# Waits that are part of their caller's work.
WAITS = """
    __cancel_work* __flush_work* __folio_lock* __lock_page* __remove_hrtimer __timer_delete_sync
    cancel_delayed_work* cancel_work* console_lock del_timer_sync drain_workqueue
    exit_to_user_mode_* flush_work* folio_lock* folio_wait_bit* hrtimer_active inode_lock*
    kthread_stop* lock_mount lock_page lock_rename on_each_cpu* rtnl_lock* rtnl_unlock
    smp_call_function* start_flush_work synchronize_net* synchronize_rcu* synchronize_sched*
    synchronize_srcu* timer_delete_sync
"""

# The core of drivers and of network devices: it complains about an object of a driver.
CORES = """
    __device_* __driver_* _proc_mkdir* bus_*_device dev_close dev_close_many dev_open
    device_add* device_create* device_del* device_destroy* device_initial_probe device_register
    device_release* device_unregister dpm_sysfs_* driver_* free_netdev get_device kernfs_add*
    kernfs_create* kernfs_find* kernfs_new* kernfs_remove* netdev_run_todo proc_create*
    proc_mkdir* proc_register* put_device really_probe register_netdev* remove_proc_*
    rollback_registered* sysfs_* unregister_netdev* usb_bulk_msg usb_control_msg usb_kill_urb
    usb_start_wait_urb usb_submit_urb
"""

# The entries of every task, timer and work item.
ROOTS = """
    __do_fast_syscall_32 acpi_idle* acpi_safe* arch_cpu_idle* common_startup_64 cpu_idle*
    cpu_startup_entry cpuidle_* default_idle* do_fast_syscall_32 do_idle do_syscall_* entry_*
    haltpoll* ia32_sys_call intel_idle* kthread mwait_idle poll_idle process_one_work
    process_scheduled_works rest_init ret_fast_syscall ret_from_fork* safe_halt
    secondary_startup_64* start_kernel start_secondary stub_* syscall_* sysenter_* system_call*
    tracesys* worker_thread x64_sys_call x86_64_start_*
"""

# Clocks and delays.
CLOCKS = """
    __const_udelay __delay __ndelay __udelay clear_sched_clock_stable clocksource_* cpu_relax
    delay_* do_gettimeofday getnstimeofday* ktime_get* kvm_clock_* local_clock* pvclock_* rdtsc*
    read_hpet read_tsc rep_nop sched_clock* timekeeping_*
"""

# Calls to other CPUs.
CALLS = """
    __flush_smp_* __irq* __smp_* arch_send_call* cpu_stop_* cpu_stopper_thread flush_smp_*
    generic_exec_single generic_smp_call* irq_work_* multi_cpu_stop on_each_cpu*
    smp_call_function* stop_core_* stop_machine*
"""

# Copies, strings and bits: their arguments are wrong.
LIBRARY = """
    __atomic* __bad_copy* __change_*bit* __clear_*bit* __copy_* __get_user* __mem* __put_user*
    __read_once* __set_*bit* __sw_hweight* __test_*bit* __write_once* _copy_from*
    _copy_page_from_iter* _copy_page_to_iter* _copy_to* _copy_user* _find_*bit* _inline_copy_*
    arch___change_*bit* arch___clear_*bit* arch___set_*bit* arch___test_*bit* arch_atomic*
    arch_change_*bit* arch_clear_*bit* arch_cmpxchg* arch_set_*bit* arch_test_*bit*
    array_index_* atomic* change_*bit* check_copy_size check_object_size clear_*bit* clear_page*
    clear_user* cmpxchg* copy_from* copy_mc_* copy_overflow copy_page* copy_to* copy_user*
    csum_partial* ffs* find_*bit* fls* format_decode get_current get_user* hex_* hweight*
    instrument_* memchr* memcmp* memcpy* memmove* memscan* memset* memzero* number pointer
    put_user* raw_atomic* raw_copy_* read_word_at_a_time rep_movs* rep_stos* set_*bit* sscanf
    str* test_*bit* u64_stats_* vsscanf xchg*
"""

# Containers: their content is their caller's.
CONTAINERS = """
    __bad_area* __bitmap_* __call_rcu* __hlist_* __ida_* __idr_* __kfree_skb* __kref_* __llist_*
    __mas_* __mt_* __percpu_ref_* __plist_* __radix_tree_* __rb_* __rhashtable_* __rht_*
    __unwind_start __xa_* __xas_* assoc_array_* bad_area* bitmap_* bsearch call_rcu* consume_skb
    crc32* do_kern_addr_fault do_user_addr_fault hlist_* ida_* idr_* interval_tree_* iov_iter_*
    kfifo_* kfree_skb* klist_* kobject_* kref_* kset_* kvfree_call_rcu llist_* mas_* mt_*
    no_context percpu_ref_* plist_* pskb_expand_head radix_tree_* rb_* rcu_cblist_* rcu_core*
    rcu_do_batch rcu_segcblist_* refcount_*_not_one rhashtable_* rht_* skb_*purge* skb_*queue*
    skb_*trim* skb_pull skb_push skb_put skb_release_* sort* timerqueue_* unwind_next_frame xa_*
    xas_*
"""

# Cryptographic algorithms: their caller gave them the data.
CRYPTO = """
    __aead_* __aes_* __aesni_* __aesti_* __ahash_* __akcipher_* __blkcipher_* __cbc_*
    __chacha*_* __cipher_* __crypto_* __drbg_* __ecb_* __gf128mul_* __ghash_* __jent_*
    __poly1305_* __rng_* __scatterwalk_* __sha1_* __sha256_* __sha512_* __skcipher_* __xts_*
    aead_* aes_* aesni_* aesti_* ahash_* akcipher_* blkcipher_* cbc_* chacha*_* cipher_*
    crypto_* drbg_* ecb_* gf128mul_* ghash_* jent_* lib_aes_* lib_aesni_* lib_aesti_* lib_cbc_*
    lib_chacha*_* lib_ecb_* lib_gf128mul_* lib_ghash_* lib_poly1305_* lib_sha1_* lib_sha256_*
    lib_sha512_* lib_xts_* poly1305_* rng_* scatterwalk_* sha1_* sha256_* sha512_* skcipher_*
    xts_*
"""

# Lists of pages that are freed later: the function that freed one too early is not there.
PAGE_LISTS = """
    __folio_batch* __pagevec_* __tlb_* folio_add_lru* folio_batch_move_lru* folio_put*
    folios_put* free_pages_and_swap_cache free_swap_cache lru_add_* pagevec_* tlb_*
"""

# Lists of timers and of work: the function that queued or freed one is at fault.
TIMERS = """
    ___queue_*work* __del_timer* __hrtimer_start* __mod_timer* __queue_*work* __timer_*
    __try_to_del_timer* _mod_timer* _queue_*work* _try_to_del_timer* add_timer* del_timer*
    detach_*timer* enqueue_timer get_work_pool hrtimer_cancel* hrtimer_start*
    hrtimer_try_to_cancel* insert_work irq_work_queue* lock_timer_base mod_delayed_work*
    queue_*work* schedule_delayed_work* schedule_work* sk_reset_timer* sk_stop_timer*
    task_work_add* task_work_cancel* timer_* try_to_del_timer* work_is_static_object
"""

# No report is about these.
NEVER = (
    REPORTING, ENTRIES, THUNKS, DETECTORS, RUST, ALLOCATORS, LOCKS, ROOTS, CLOCKS, CALLS, LIBRARY,
)  # fmt: skip

# These are named, but never as the function at fault: their caller is more likely at fault.
DOUBTFUL = (WAITS, CORES, CONTAINERS, CRYPTO, PAGE_LISTS, TIMERS)

# They pass a request on to its handler: the outermost function of a stack that is not one
# of these is the handler.
DISPATCH = """
    SyS_* ____fput ____sys_* ___sys_* __do_compat_sys_* __do_cow_fault __do_fault
    __do_read_fault __do_shared_fault __do_sys_* __fput __handle_mm_fault __handle_pte_fault
    __ia32_compat_sys_* __ia32_sys_* __napi_* __netif_receive_skb* __netlink_* __prepare_exit*
    __run_timer_base __run_timers __se_compat_sys_* __se_sys_* __sock_recvmsg* __sock_sendmsg*
    __sys_* __usb_hcd_giveback_urb __vfs_* __x64_compat_sys_* __x64_sys_* arch_do_signal*
    blk_complete_reqs blk_done_softirq call_ad call_read_iter call_timer_fn call_write_iter
    delayed_fput do_anonymous_page do_compat_* do_cow_fault do_dentry_open do_exit do_fault
    do_filp_open do_group_exit do_iter_* do_last do_mount do_new_mount do_open* do_read_fault
    do_shared_fault do_signal do_sys_* do_vfs_* exit_to_user* expire_timers fput genl_*
    get_signal handle_irq* handle_mm_fault handle_pte_fault hrtimer_run_softirq hub_event
    inet6_sendmsg inet_sendmsg io_worker* io_wq* iterate_dir ksys_* loop_*work* napi_*
    net_rx_action net_tx_action netif_receive_skb* netif_rx* netlink_* new_sync_* nfnetlink_*
    path_mount path_openat prepare_exit* process_backlog rcu_core* rtnetlink_rcv*
    run_timer_softirq sock_common_* sock_do_ioctl sock_ioctl sock_read_iter sock_recvmsg*
    sock_sendmsg* sock_write_iter syscall_* task_work_run tasklet_* usb_giveback_urb_bh
    usb_hcd_giveback_urb vfs_*
"""


def _names(*groups: str) -> re.Pattern[str]:
    """Return the pattern of the names in some groups."""
    words = [word for group in groups for word in group.split()]
    return re.compile("|".join(re.escape(word).replace(r"\*", ".*") for word in words))


_NEVER = _names(*NEVER)
_DOUBTFUL = _names(*DOUBTFUL)
_DISPATCH = _names(DISPATCH)


def skipped(name: str) -> bool:
    """Return whether a function does not show which code is at fault."""
    return bool(_NEVER.fullmatch(name)) and not doubtful(name)


def doubtful(name: str) -> bool:
    """Return whether a function's caller is more likely at fault than the function."""
    return bool(_DOUBTFUL.fullmatch(name))


def dispatches(name: str) -> bool:
    """Return whether a function only passes a request on to its handler."""
    return bool(_DISPATCH.fullmatch(name))
