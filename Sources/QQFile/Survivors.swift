import CKernel
import Glibc
import QQCore

/// Processes that hold the lock of a term whose lease has ended: what is left of a command whose qq and guardian were both killed or stopped.
///
/// The guardian's promise is that they are dead by then. Whoever is to be granted the election keeps that promise in its place.
struct Survivors {
    let sideFile: stat
    let byte: Int64

    /// The processes that hold the lock, as far as we may look into them. Never this one: it is not to end itself over its own old term.
    func find() -> [pid_t] {
        LockHolder.entries("/proc").filter { $0 != getpid() && holds($0) }
    }

    /// Sends SIGKILL to them and to everything below them; to their guardian once nothing else lives, for children that closed what they inherited are
    /// found only below it. One round can miss those that are just being forked.
    func end() {
        var list = qq_processes()
        let proc = open("/proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard proc >= 0 else { return }
        defer { close(proc) }
        guard qq_processes_read(&list) == 0 else { return }
        defer { qq_processes_free(&list) }
        qq_processes_spare_lineage(&list)
        // Not below this process, whatever it holds itself: there is other work of its own.
        for index in 0..<Int(list.count) where list.items[index].is_spared == 0 && holds(list.items[index].pid) {
            list.items[index].is_chosen = 1
        }
        qq_processes_choose_guarded(&list, proc)
        _ = qq_processes_kill(&list)
    }

    private func holds(_ pid: pid_t) -> Bool { LockHolder.has(.byte(byte), on: sideFile, pid, isWriter: true) }
}
