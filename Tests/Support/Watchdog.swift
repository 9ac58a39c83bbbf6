import Glibc
import Synchronization

/// Ends servers and removes folders that the test process leaves behind when it is killed.
///
/// A shell reads the processes and folders from a pipe whose other end this process holds. The stream ends when this process ends, however that
/// happens. A parent-death signal would not do: it is sent when the thread that started the child ends, and the threads of a pool end early.
public enum Watchdog {
    private static let script = """
        list=
        while read -r pid folder; do list="$list $pid:$folder"; done
        for item in $list; do
            pid=${item%%:*} folder=${item#*:}
            [ -d "/proc/$pid" ] || continue
            tr '\\0' '\\n' <"/proc/$pid/environ" | grep -qxF "QQ_TEST_MARK=$folder" && kill -9 "$pid" && sleep 0.2 && rm -rf "$folder"
        done
        """

    private static let line: Mutex<CInt?> = Mutex(nil)

    /// Has a process of this sandbox killed, and the folder of the sandbox removed, once this process has ended.
    static func watch(_ pid: pid_t, in sandbox: Sandbox) throws {
        try line.withLock { line in
            if line == nil {
                let pipe = Pipe()
                _ = try shell(reading: pipe)
                // Stays open as long as this process runs.
                line = pipe.writing
            }
            let text = Array("\(pid) \(sandbox.folder)\n".utf8)
            guard let line, write(line, text, text.count) == text.count else { throw CannotStart("the watchdog does not read") }
        }
    }

    /// Starts the shell.
    public static func shell(reading pipe: Pipe) throws -> Child {
        var launch = Launch(["/bin/sh", "-c", script], environment: ["PATH": "/usr/local/bin:/usr/bin:/bin"], folder: "/")
        launch.input = .descriptor(pipe.reading)
        return try Child(launch)
    }
}
