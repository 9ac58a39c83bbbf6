import Glibc
import QQCore
import QQREPL

/// The commands that only a session has.
enum SessionCommand: String, Word {
    case use, leases, jobs, fg, stop, history, exit, quit

    /// The command with its argument, as it is typed.
    var usage: String {
        switch self {
        case .use: "use CONTEXT"
        case .fg: "fg N"
        case .stop: "stop N"
        case .leases, .jobs, .history, .exit, .quit: rawValue
        }
    }

    var meaning: String {
        switch self {
        case .use: "choose a context for the following lines"
        case .leases: "list the leases that this session holds"
        case .jobs: "list the commands that run in the background"
        case .fg: "wait for a job and give it the terminal"
        case .stop: "end a job"
        case .history: "list the lines typed before"
        case .exit, .quit: "release all leases and leave (Ctrl-D)"
        }
    }

    var summary: String { "\(self == .quit ? SessionCommand.exit.usage : usage): \(meaning)" }
}

extension Session {
    func run(_ command: SessionCommand, _ words: [String]) async throws -> Step {
        let takes = [.use, .stop, .fg].contains(command) ? 1 : 0
        guard words.count == takes else { throw UsageError("usage: \(command.summary)") }
        switch command {
        case .use: try use(words[0])
        case .leases: try showLeases()
        case .jobs: try showJobs()
        case .fg:
            let (number, job) = try job(words[0])
            return .goOn(await bringToFront(number, job))
        case .stop: try await stopJob(words[0])
        case .history: for (index, line) in History.lines.enumerated() { try output.print("\(index + 1)  \(Printable.text(line))") }
        case .exit, .quit: return .leave
        }
        return .goOn(ExitCode.yes)
    }

    private func use(_ name: String) throws(CoordinationError) {
        let store = try ContextsStore()
        let file = try store.read()
        guard let entry = file[name] else { throw ContextChoice.unknown(name, in: file, at: store.path) }
        state.withLock { $0.context = entry.name }
        refreshElections(withMembers: true)
    }

    private func showLeases() throws(CoordinationError) {
        let all = leases.all
        if output.form == .terminal, all.isEmpty {
            messages.note("this session holds nothing")
            return
        }
        for lease in all {
            let left = max(lease.grant.deadline.duration(since: loop.now()), .zero)
            switch output.form {
            case .json:
                try output.print(
                    json: Schemas.adding(
                        lease.slot, count: lease.slot?.count,
                        to: [
                            "name": .string(lease.name), "server": .string(lease.server.description),
                            "token": Rendering.json(lease.grant.token), "expires_in": Rendering.rounded(left),
                        ]))
            case .plain:
                var record = [lease.name, lease.server.description, lease.grant.token?.description, Rendering.seconds(left)]
                if let slot = lease.slot { record.append(String(slot.number)) }
                try output.print(record: record)
            case .terminal:
                try output.print(
                    output.color(lease.name, .strong) + (lease.slot?.inBrackets ?? "") + "  for \(DurationText.brief(left)) unless renewed"
                        + (lease.grant.token.map { ", token \($0)" } ?? "") + "  " + output.color(lease.server.description, .faint))
            }
        }
    }

    private func showJobs() throws(CoordinationError) {
        let jobs = state.withLock { $0.jobs }.sorted { $0.key < $1.key }
        if output.form == .terminal, jobs.isEmpty { messages.note("nothing runs in the background") }
        for (number, job) in jobs {
            let age = loop.now().duration(since: job.startedAt)
            switch output.form {
            case .json:
                try output.print(json: [
                    "job": .integer(Int64(number)), "command": .string(job.line), "running": .bool(!job.isStopped),
                    "age": Rendering.rounded(age),
                ])
            case .plain: try output.print(record: ["\(number)", job.isStopped ? "stopped" : "running", Rendering.seconds(age), job.line])
            case .terminal:
                try output.print(
                    "[\(number)] \(job.isStopped ? "stopped" : "running")  \(DurationText.brief(age))  \(Printable.text(job.line))")
            }
        }
    }

    private func job(_ word: String) throws(UsageError) -> (Int, Job) {
        guard let number = Int(word.hasPrefix("%") ? String(word.dropFirst()) : word), let job = state.withLock({ $0.jobs[number] }) else {
            throw UsageError("no job \(word.quoted)", hint: "see 'jobs'")
        }
        return (number, job)
    }

    private func stopJob(_ word: String) async throws {
        let (number, job) = try job(word)
        switch job.work {
        case .task(let button, let task):
            button.press(SIGTERM)
            if !button.isListenedTo { task.cancel() }
            // Cancel a command that does not end in time.
            let deadline = loop.now() + .seconds(5)
            while state.withLock({ $0.jobs[number] != nil }), loop.now() < deadline { try? await loop.sleep(for: .milliseconds(5)) }
            task.cancel()
        case .process(let process): process.signal(SIGTERM, isGroup: isInteractive)
        }
    }
}
