import Glibc
import Support

/// Whether this user can make the namespaces that containers consist of.
let containersArePossible = system("unshare -Urpmf --mount-proc true 2>/dev/null") == 0

extension Sandbox {
    /// Starts a shell script as process 1 of a pid namespace with a /proc of its own. `exec "$QQ" …` makes `qq` process 1.
    func startAsProcessOne(_ script: String) throws -> Started {
        try start(Self.processOne + ["sh", "-c", script], environment: ["QQ": Self.binary])
    }

    /// Runs the words that follow as process 1.
    static let processOne = ["unshare", "-Urpf", "--kill-child", "--mount-proc"]
}

extension Started {
    /// The init that process 1 has become, as a process of this namespace.
    func initProcess() async throws -> LivingProcess {
        try await waitFor("the init of \(pid): \(errors)") {
            guard child.isRunning else { throw TimedOut("the container ended: \(child.ending as Any) \(errors)") }
            return LivingProcess.below(pid).first { $0.name == "qq-init" }
        }
    }
}

/// The pids of a process's children, zombies included.
func children(of pid: pid_t) -> [Substring] { readText("/proc/\(pid)/task/\(pid)/children").split(separator: " ") }
