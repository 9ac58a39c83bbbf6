import CKernel
import Glibc
import QQCore

/// Checks that there is room for the memory and threads of the next step. Without it, the network libraries crash the process.
enum Room {
    enum Step {
        /// A command that sends no request over the network.
        case start
        /// The first connection.
        case network

        /// Address space in addition to that of the process, in bytes: measured with lease files and with each system, and doubled.
        var memory: Int { self == .start ? 8 << 20 : 64 << 20 }
        /// The number of threads at the same time.
        var threads: CInt { self == .start ? 0 : 4 }
    }

    /// - Throws: `.unavailable` if a limit leaves too little.
    static func check(_ step: Step) throws(CoordinationError) {
        if qq_memory_room(step.memory) != 0 {
            var limit = rlimit()
            let isLimited = getrlimit(__rlimit_resource_t(RLIMIT_AS.rawValue), &limit) == 0 && limit.rlim_cur != rlim_t.max
            throw CoordinationError(
                .unavailable, "cannot start",
                because: isLimited ? "the limit of \(limit.rlim_cur / 1024) KiB leaves too little memory" : "there is too little memory",
                hint: isLimited ? "raise the limit: ulimit -v unlimited" : nil)
        }
        if step.threads > 0, qq_thread_room(step.threads) != 0 {
            throw CoordinationError(
                .unavailable, "cannot start", because: "no more threads can be created",
                hint: "raise the limit on processes: ulimit -u, TasksMax= of a systemd unit, pids.max of a cgroup")
        }
    }
}

extension Setup {
    /// Prepares requests to the server. Can start threads.
    /// - Throws: `.unavailable` if there is no room for them.
    func prepare() throws(CoordinationError) {
        if server.system.isOverNetwork { try Room.check(.network) }
        coordinator.prepare()
    }
}
