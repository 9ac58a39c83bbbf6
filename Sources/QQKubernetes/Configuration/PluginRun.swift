import CKernel
import Glibc
import QQCore

/// One run of an exec plugin on a thread of its own.
final class PluginRun: Sendable {
    private let plugin: ExecPlugin
    private let surroundings: ClientSurroundings
    /// An event descriptor, which becomes readable when the run should end.
    private let stop: CInt

    init(_ plugin: ExecPlugin, _ surroundings: ClientSurroundings) {
        self.plugin = plugin
        self.surroundings = surroundings
        stop = eventfd(0, CInt(EFD_CLOEXEC | EFD_NONBLOCK))
    }

    deinit { close(stop) }

    /// Ends the run. Its thread sees that immediately, and kills the program.
    func end() {
        var one: UInt64 = 1
        _ = write(stop, &one, 8)
    }

    /// Runs the program and reads its output. Blocks.
    func credential() throws(PluginFault) -> ExecCredential {
        guard stop >= 0 else { throw .notStarted(SystemCallError("eventfd").reason) }
        let hasTerminal = plugin.interactiveMode != .never && surroundings.lendsTerminal && Self.isTerminalFree
        if plugin.interactiveMode == .always, !hasTerminal { throw .needsTerminal }
        guard let path = plugin.isPath ? plugin.command : Self.find(plugin.command, in: getenv("PATH").map { String(cString: $0) } ?? "")
        else {
            throw .notFound
        }
        let result = try PluginProcess(
            path: path, arguments: [plugin.command] + plugin.arguments.map(\.text),
            environment: Self.environment(
                adding: plugin.variables.map { ($0.name, $0.value.text) } + [
                    ("KUBERNETES_EXEC_INFO", plugin.input(isInteractive: hasTerminal))
                ]),
            hasTerminal: hasTerminal, timeLimit: hasTerminal ? Self.interactiveLimit : max(surroundings.requestTimeout, Self.shortestLimit),
            stop: stop, report: { [surroundings, plugin] in surroundings.report("\(plugin.name): \($0)") }
        ).run()
        var value: CInt = 0
        if let status = result.status {
            if qq_status_signaled(status, &value) != 0 { throw .died(signal: value) }
            if qq_status_exited(status, &value) != 0, value != 0 { throw .exited(value, lastLine: result.lastLine) }
        }
        return try ExecCredential(result.output, as: plugin.version)
    }

    /// The time limits of a run: without the terminal at least this, and with it, while a user types a password or uses a browser.
    static let shortestLimit: Duration = .seconds(30)
    static let interactiveLimit: Duration = .seconds(300)

    /// Whether stdin and stderr are a terminal of which this process is in the foreground.
    private static var isTerminalFree: Bool { isatty(0) == 1 && isatty(2) == 1 && tcgetpgrp(0) == getpgrp() }

    /// The program in one of the folders of PATH; nil if there is none. Relative folders are skipped: a program must not depend on the current folder.
    static func find(_ name: String, in path: String) -> String? {
        for folder in path.split(separator: ":") where folder.hasPrefix("/") {
            let candidate = folder + "/" + name
            var status = stat()
            if stat(candidate, &status) == 0, status.st_mode & S_IFMT == S_IFREG, access(candidate, X_OK) == 0 { return String(candidate) }
        }
        return nil
    }

    /// The environment of this process, byte for byte, with these variables in place of its own. The secrets of other systems are no longer among them, and
    /// the mark of a guarded command never was: only the marks of outer terms are, by which an outer `qq` finds everything that its command started.
    static func environment(adding variables: [(name: String, value: String)]) -> [[CChar]] {
        var values: [String: String] = [:]
        for (name, value) in variables { values[name] = value }
        var entries: [[CChar]] = []
        var next = environ
        while let entry = next.pointee {
            if values[String(String(cString: entry).prefix { $0 != "=" })] == nil {
                entries.append(Array(UnsafeBufferPointer(start: entry, count: strlen(entry) + 1)))
            }
            next += 1
        }
        return entries + values.map { Array("\($0.key)=\($0.value)".utf8CString) }
    }
}
