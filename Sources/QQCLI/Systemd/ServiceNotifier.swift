import QQCore
import QQLoop
import Synchronization

/// Reports to the service manager that the process is up, who leads, and that the loop still runs. Nothing here waits for the manager. A message that
/// cannot be sent is tried again.
final class ServiceNotifier: Sendable {
    private struct State {
        var report: ServiceReport
        var retrying: Task<Void, Never>?
        var hasEnded = false
        var toldFailure = false
    }

    private let state: Mutex<State>
    private let socket: NotifySocket
    /// The interval of the watchdog; nil if this process is not watched.
    private let watchdog: Duration?
    private let loop: MainLoop
    private let messages: Messages

    /// - Returns: nil if there is no service manager.
    init?(_ manager: ServiceManager, _ report: ServiceReport, sender: Notifier, loop: MainLoop, messages: Messages) {
        guard let socket = manager.socket else { return nil }
        self.socket = socket
        watchdog = sender == .qq ? manager.watchdog : nil
        state = Mutex(State(report: report))
        self.loop = loop
        self.messages = messages
    }

    /// Reports that the process has started.
    func begin() { deliver() }

    /// Takes an event of a lease session, and reports what it changes.
    /// - Parameter title: the election that a grant is for, with its slot.
    func take(_ event: SessionEvent, of name: String, as identity: String, title: String) {
        let mayBeNew = state.withLock { state in
            // After a message that could not be sent there is news even without a change.
            state.report.take(event, of: name, as: identity, title: title, at: .now()) || state.retrying != nil
        }
        if mayBeNew { deliver() }
    }

    /// Reports that all leases are about to be released, and the process ends.
    func release() {
        state.withLock { $0.report.release() }
        deliver()
    }

    /// The pauses before a message is tried again, from the first to the longest.
    private static let pauses: ClosedRange<Duration> = .milliseconds(100) ... .seconds(30)
    /// The shortest pause between two messages to the watchdog, whatever the manager asks for.
    private static let shortestBeat: Duration = .milliseconds(10)

    /// Reports at half the watchdog's interval that the loop runs, until the task is cancelled. Runs on the loop: a loop that hangs is silent.
    func keepAlive() async {
        guard let watchdog else { return }
        var isSent = false
        repeat {
            isSent = send("WATCHDOG=1")
            // Half the interval, as sd_watchdog_enabled(3) recommends; sooner if the message has not arrived.
        } while (try? await loop.sleep(for: max(isSent ? watchdog / 2 : watchdog / 16, Self.shortestBeat))) != nil
    }

    /// Reports the end, once: the process does not wait for a manager that does not read.
    func finish() {
        let retrying = state.withLock { state in
            state.report.end()
            state.hasEnded = true
            return state.retrying
        }
        retrying?.cancel()
        _ = state.withLock { sendNews(&$0) }
    }

    /// Sends the news, and tries again in the background if that fails.
    private func deliver() {
        state.withLock { state in
            guard !sendNews(&state), !state.hasEnded, state.retrying == nil else { return }
            state.retrying = Task(executorPreference: loop) { [self] in await retry() }
        }
    }

    /// Whether a message is tried again in the background.
    var isRetrying: Bool { state.withLock { $0.retrying != nil } }

    private func retry() async {
        var pause = Self.pauses.lowerBound
        while (try? await loop.sleep(for: pause)) != nil {
            if state.withLock({ sendNews(&$0) }) { return }
            pause = min(pause * 2, Self.pauses.upperBound)
        }
    }

    /// Sends the news, and ends the retries once none is left. The status can also have become again what was sent last.
    /// - Returns: whether no news is left.
    private func sendNews(_ state: inout State) -> Bool {
        if let news = state.report.news {
            guard send(news, &state) else { return false }
            state.report.delivered()
        }
        state.retrying?.cancel()
        state.retrying = nil
        return true
    }

    private func send(_ message: String) -> Bool { state.withLock { send(message, &$0) } }

    private func send(_ message: String, _ state: inout State) -> Bool {
        do throws(SystemCallError) {
            try socket.send(message)
            return true
        } catch {
            if !state.toldFailure { messages.detail("cannot notify the service manager: \(error.reason) (NOTIFY_SOCKET)") }
            state.toldFailure = true
            return false
        }
    }
}

extension Setup {
    /// Runs `body`, and until it returns answers the watchdog of the service manager, if there is one. Reports the beginning and the end.
    func serving<Result: Sendable>(_ body: @Sendable () async throws -> Result) async rethrows -> Result {
        guard let service else { return try await body() }
        service.begin()
        let watchdog = Task(executorPreference: loop) { await service.keepAlive() }
        defer {
            watchdog.cancel()
            service.finish()
        }
        return try await body()
    }

    /// Reports an event of a lease session to the service manager.
    func serve(_ event: SessionEvent, of name: String, as identity: String) {
        guard let service else { return }
        let title = if case .elected(let grant) = event { self.title(name, grant) } else { name }
        service.take(event, of: name, as: identity, title: title)
    }
}

extension Invocation {
    /// Whether the process that runs this line reports to the service manager, if it is the main process of a service: it holds a lease until it or its
    /// command ends.
    var reportsToServiceManager: Bool {
        switch command.id {
        case .acquire: trailing != nil
        case .keepalive: !self[Flags.once]
        default: false
        }
    }
}
