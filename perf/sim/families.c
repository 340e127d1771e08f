/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sim/families.h"

#define LIST(array)                                                                                \
    {                                                                                              \
        (array), sizeof(array) / sizeof((array)[0])                                                \
    }
#define COUNT VALUE_GO
#define NO_LABELS                                                                                  \
    {                                                                                              \
        {                                                                                          \
            0                                                                                      \
        }                                                                                          \
    }
#define MODES "idle|iowait|irq|nice|softirq|steal|system|user"
#define CPUS  "#32"
#define COLLECTORS                                                                                 \
    "arp|bcache|bonding|btrfs|conntrack|cpu|cpufreq|diskstats|dmi|edac|entropy|fibrechannel|"      \
    "filefd|filesystem|hwmon|infiniband|ipvs|loadavg|mdadm|meminfo"
#define MILLION UINT64_C(1000000)
#define BILLION UINT64_C(1000000000)

/* Tables read better in rows. */
/* clang-format off */

static const struct family common[] = {
    {"go_gc_duration_seconds", 0, "Pauses of garbage collection cycles.",
     FAMILY_SUMMARY, VALUE_DECIMAL, 9, 40 * MILLION, false, false, NO_LABELS},
    {"go_goroutines", 0, "Number of goroutines that currently exist.", FAMILY_GAUGE, COUNT, 0, 400,
     false, false, NO_LABELS},
    {"go_info", 0, "Information about the Go environment.", FAMILY_GAUGE, COUNT, 0, 1, true, false,
     {{"version", "go1.21.5"}}},
    {"go_memstats_*_bytes",
     "alloc|buck_hash_sys|gc_sys|heap_alloc|heap_idle|heap_inuse|heap_released|heap_sys|"
     "mcache_inuse|mcache_sys|mspan_inuse|mspan_sys|next_gc|other_sys|stack_inuse|stack_sys|sys",
     "Bytes the allocator holds.", FAMILY_GAUGE, COUNT, 0,
     400 * MILLION, false, false, NO_LABELS},
    {"go_memstats_*_total", "alloc_bytes|frees|lookups|mallocs", "Total number, in all.",
     FAMILY_COUNTER, COUNT, 0, 90 * BILLION, false, false, NO_LABELS},
    {"go_memstats_gc_cpu_fraction", 0, "The fraction of CPU time used by the collector.",
     FAMILY_GAUGE, VALUE_DOUBLE, 0, 0, false, false, NO_LABELS},
    {"go_memstats_heap_objects", 0, "Number of allocated objects.", FAMILY_GAUGE, COUNT, 0,
     3 * MILLION, false, false, NO_LABELS},
    {"go_memstats_last_gc_time_seconds", 0, "Time since 1970 of the last garbage collection.",
     FAMILY_GAUGE, VALUE_DOUBLE, 0, 0, false, false, NO_LABELS},
    {"go_threads", 0, "Number of OS threads created.", FAMILY_GAUGE, COUNT, 0, 64, false, false,
     NO_LABELS},
    {"process_cpu_seconds_total", 0, "CPU time spent, in seconds.",
     FAMILY_COUNTER, VALUE_DECIMAL, 2, 9 * MILLION, false, false, NO_LABELS},
    {"process_*", "max_fds|open_fds", "Number of file descriptors.", FAMILY_GAUGE, COUNT, 0,
     2 * MILLION, false, false, NO_LABELS},
    {"process_*_bytes", "resident_memory|virtual_memory|virtual_memory_max",
     "Memory size in bytes.", FAMILY_GAUGE, COUNT, 0, 2 * BILLION, false, false, NO_LABELS},
    {"process_start_time_seconds", 0, "Start time of the process since unix epoch in seconds.",
     FAMILY_GAUGE, VALUE_DECIMAL, 2, 170123456789, true, false, NO_LABELS},
};

static const struct family tiny[] = {
    {"promhttp_metric_handler_requests_in_flight", 0, "Current number of scrapes being served.",
     FAMILY_GAUGE, COUNT, 0, 1, true, false, NO_LABELS},
    {"promhttp_metric_handler_requests_total", 0, "Total number of scrapes by HTTP status code.",
     FAMILY_COUNTER, COUNT, 0, 90000, false, false, {{"code", "200|500|503"}}},
    {"app_requests_total", 0, "Requests answered, by status code.", FAMILY_COUNTER, COUNT, 0,
     40 * MILLION, false, false, {{"code", "200|404|500"}, {"method", "get"}}},
    {"app_request_duration_seconds", 0, "How long requests took.", FAMILY_HISTOGRAM, COUNT, 0,
     40 * MILLION, false, false, {{"handler", "/api/v1/orders"}}},
    {"app_queue_*", "length|oldest_age_seconds", "State of the queue of orders.", FAMILY_GAUGE,
     VALUE_DECIMAL, 3, 99 * MILLION, false, false, NO_LABELS},
};

static const struct family node[] = {
    {"node_cpu_seconds_total", 0, "Seconds the CPUs spent in each mode.", FAMILY_COUNTER,
     VALUE_DECIMAL, 2, 9 * BILLION, false, false, {{"cpu", CPUS}, {"mode", MODES}}},
    {"node_cpu_guest_seconds_total", 0, "Seconds the CPUs spent in guests (VMs) for each mode.",
     FAMILY_COUNTER, VALUE_DECIMAL, 2, 1, false, false, {{"cpu", CPUS}, {"mode", "nice|user"}}},
    {"node_cpu_frequency_hertz", 0, "Current CPU thread frequency in hertz.", FAMILY_GAUGE, COUNT,
     0, 4 * BILLION, false, false, {{"cpu", CPUS}}},
    {"node_schedstat_*_seconds_total", "running|waiting", "Number of seconds CPU spent.",
     FAMILY_COUNTER, VALUE_DECIMAL, 9, 900 * BILLION, false, false, {{"cpu", CPUS}}},
    {"node_schedstat_timeslices_total", 0, "Number of timeslices executed by CPU.", FAMILY_COUNTER,
     COUNT, 0, 9 * BILLION, false, false, {{"cpu", CPUS}}},
    {"node_softnet_*_total", "dropped|processed|times_squeezed", "Number of packets.",
     FAMILY_COUNTER, COUNT, 0, 9 * MILLION, false, false, {{"cpu", CPUS}}},
    {"node_memory_*_bytes",
     "Active_anon|Active_file|Active|AnonHugePages|AnonPages|Bounce|Buffers|Cached|CommitLimit|"
     "Committed_AS|DirectMap1G|DirectMap2M|DirectMap4k|Dirty|FileHugePages|HardwareCorrupted|"
     "Hugepagesize|Hugetlb|Inactive_anon|Inactive_file|Inactive|KReclaimable|KernelStack|Mapped|"
     "MemAvailable|MemFree|MemTotal|Mlocked|NFS_Unstable|PageTables|Percpu|SReclaimable|"
     "SUnreclaim|ShmemHugePages|Shmem|Slab|SwapCached|SwapFree|SwapTotal|Unevictable|VmallocChunk|"
     "VmallocTotal|VmallocUsed|WritebackTmp|Writeback",
     "Memory information field.", FAMILY_GAUGE, COUNT, 0, 270 * BILLION, false, false, NO_LABELS},
    {"node_network_*_total",
     "receive_bytes|receive_compressed|receive_drop|receive_errs|receive_fifo|receive_frame|"
     "receive_multicast|receive_packets|transmit_bytes|transmit_carrier|transmit_colls|"
     "transmit_compressed|transmit_drop|transmit_errs|transmit_fifo|transmit_packets",
     "Network device statistic.", FAMILY_COUNTER, COUNT, 0, 900 * BILLION, false, false,
     {{"device", "cali8f0d3c1a7b92e4d06f51#24"}}},
    {"node_network_*", "carrier|dormant|flags|iface_id|mtu_bytes|speed_bytes|up",
     "Value of /sys/class/net/<iface>.", FAMILY_GAUGE, COUNT, 0, 9000, false, false,
     {{"device", "cali8f0d3c1a7b92e4d06f51#24"}}},
    {"node_disk_*_total",
     "discards_completed|discards_merged|flush_requests|read_bytes|reads_completed|reads_merged|"
     "writes_completed|writes_merged|written_bytes",
     "The total number, by disk.", FAMILY_COUNTER, COUNT, 0, 900 * BILLION, false, false,
     {{"device", "nvme#8"}}},
    {"node_disk_*_seconds_total", "discard_time|flush_requests_time|io_time|io_time_weighted|"
     "read_time|write_time", "Seconds spent, by disk.", FAMILY_COUNTER, VALUE_DECIMAL, 3,
     9 * BILLION, false, false, {{"device", "nvme#8"}}},
    {"node_filesystem_*",
     "avail_bytes|device_error|files|files_free|free_bytes|readonly|size_bytes",
     "Filesystem statistic, by mount point.", FAMILY_GAUGE, COUNT, 0, 900 * BILLION, false, false,
     {{"fstype", "ext4"}, {"mountpoint", "/var/lib/kubelet/plugins/kubernetes.io/csi/pv/pvc-#24"}}},
    {"node_netstat_*",
     "Icmp6_InErrors|Icmp6_InMsgs|Icmp6_OutMsgs|Icmp_InErrors|Icmp_InMsgs|Icmp_OutMsgs|"
     "IpExt_InOctets|IpExt_OutOctets|Ip_Forwarding|"
     "TcpExt_ListenDrops|TcpExt_ListenOverflows|TcpExt_SyncookiesFailed|TcpExt_SyncookiesRecv|"
     "TcpExt_SyncookiesSent|TcpExt_TCPSynRetrans|TcpExt_TCPTimeouts|Tcp_ActiveOpens|Tcp_CurrEstab|"
     "Tcp_InErrs|Tcp_InSegs|Tcp_OutRsts|Tcp_OutSegs|Tcp_PassiveOpens|Tcp_RetransSegs|"
     "Udp6_InDatagrams|Udp6_InErrors|Udp6_NoPorts|Udp6_OutDatagrams|Udp6_RcvbufErrors|"
     "Udp_InDatagrams|Udp_InErrors|Udp_NoPorts|Udp_OutDatagrams|Udp_RcvbufErrors|Udp_SndbufErrors",
     "Protocol statistic.", FAMILY_GAUGE, COUNT, 0, 900 * MILLION, false, false, NO_LABELS},
    {"node_vmstat_*", "oom_kill|pgfault|pgmajfault|pgpgin|pgpgout|pswpin|pswpout",
     "/proc/vmstat information field.", FAMILY_GAUGE, VALUE_INTEGER, 0, 90 * BILLION, false, false,
     NO_LABELS},
    {"node_sockstat_*", "FRAG_inuse|RAW_inuse|TCP_alloc|TCP_inuse|TCP_orphan|TCP_tw|UDP_inuse",
     "Number of sockets in this state.", FAMILY_GAUGE, VALUE_INTEGER, 0, 30000, false, false,
     NO_LABELS},
    {"node_load*", "1|5|15", "Load average.", FAMILY_GAUGE, VALUE_DECIMAL, 2, 9000, false, false,
     NO_LABELS},
    {"node_pressure_*_seconds_total", "cpu_waiting|io_stalled|io_waiting|memory_stalled|"
     "memory_waiting", "Total time in seconds that processes have waited.", FAMILY_COUNTER,
     VALUE_DECIMAL, 6, 900 * BILLION, false, false, NO_LABELS},
    {"node_timex_*", "frequency_adjustment_ratio|maxerror_seconds|offset_seconds|tick_seconds",
     "State of the kernel's clock.", FAMILY_GAUGE, VALUE_DOUBLE, 0, 0, false, false, NO_LABELS},
    {"node_scrape_collector_duration_seconds", 0, "Duration of a collector scrape.", FAMILY_GAUGE,
     VALUE_DECIMAL, 9, 90 * MILLION, false, false, {{"collector", COLLECTORS}}},
    {"node_scrape_collector_success", 0, "Whether a collector succeeded.", FAMILY_GAUGE, COUNT, 0,
     1, true, false, {{"collector", COLLECTORS}}},
};

static const struct family big[] = {
    {"kube_pod_container_*",
     "info|resource_limits|resource_requests|restarts|ready|running|state_started|waiting",
     "State of a container of a pod in this cluster.", FAMILY_GAUGE, COUNT, 0, 90 * BILLION, false,
     true, {{"container", "storefront-orders-web-shop-~3000"}}},
    {"kube_deployment_*", "created|status_replicas|status_replicas_available", "Deployment.",
     FAMILY_GAUGE, VALUE_INTEGER, 0, 500, false, true,
     {{"deployment", "storefront-payment-checkout-~3000"}}},
    {"container_*_total", "cpu_seconds|fs_reads_bytes|network_bytes", "Use of a resource, in all.",
     FAMILY_COUNTER, VALUE_DECIMAL, 6, 900 * BILLION, false, true,
     {{"container", "storefront-orders-web-shop-~3000"}}},
    {"container_load_ratio", 0, "Load of a container.", FAMILY_GAUGE, VALUE_DOUBLE, 0, 0, false,
     true, {{"container", "storefront-orders-web-shop-~3000"}}},
    {"mesh_request_duration_seconds", 0, "Time taken by requests between services.",
     FAMILY_HISTOGRAM, COUNT, 0, 4 * BILLION, false, false,
     {{"destination", "inventory-backend-service-~350"}}},
    {"mesh_padding", 0, "Rest of the series.", FAMILY_GAUGE, COUNT, 0, MILLION, false, false,
     {{"destination", "inventory-backend-service-~57"}}},
};

static const struct family rpc[] = {
    {"rpc_server_handling_seconds", 0, "Time from the request to the answer, by method.",
     FAMILY_HISTOGRAM, COUNT, 0, 40 * MILLION, false, false,
     {{"grpc_method", "ListOrders#70"}, {"grpc_service", "shop.v1.Orders"}}},
    {"rpc_client_handling_seconds", 0, "The same of requests to others.", FAMILY_HISTOGRAM, COUNT,
     0, 40 * MILLION, false, false, {{"grpc_method", "Reserve#36"}, {"grpc_service", "stock.v1"}}},
    {"rpc_server_in_flight", 0, "Requests being answered.", FAMILY_GAUGE, COUNT, 0, 900, false,
     false, {{"grpc_method", "ListOrders#20"}}},
};

/* clang-format on */

const struct family_list families_common = LIST(common);
const struct family_list families_tiny = LIST(tiny);
const struct family_list families_node = LIST(node);
const struct family_list families_big = LIST(big);
const struct family_list families_rpc = LIST(rpc);
