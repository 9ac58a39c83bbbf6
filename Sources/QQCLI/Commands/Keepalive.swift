import CKernel
import Glibc
import QQCore
import QQGuard
import QQLoop

extension Setup {
    /// `keepalive NAME…`: holds elections until stopped.
    func keepalive() async throws -> Int32 {
        let addresses = addresses
        if !addresses.isEmpty, slots != nil {
            throw UsageError(
                "an address cannot be carried with --slots", hint: "at most one machine can have the address: leave --slots out")
        }
        guard addresses.isEmpty || names.count == 1 else {
            throw UsageError("--vip needs exactly one election, not \(names.count)", hint: "run one qq keepalive for each")
        }
        if invocation[Flags.untilEOF], isInSession {
            throw UsageError("--until-eof cannot be used in a session, which reads stdin itself", hint: "run it in a shell")
        }
        try checkToken()
        if invocation[Flags.once] { return try await asking { try await renewOnce(names) } }
        let signals = try stopSignals()
        let process = try invocation[Flags.pid].map { pid throws(CoordinationError) in try processDescriptor(pid) }
        progress?.wait(for: WaitingText.asking(server))
        defer { progress?.end() }
        let listening = Listening(self)
        let holder = ElectionHolder(self, listening)
        for name in names { try await holder.add(name) }
        try await holder.carry(addresses)
        try listening?.start()
        defer { listening?.stop() }
        return try await withThrowingTaskGroup(of: Void.self) { group in
            let loop = loop
            group.addTask {
                _ = try await signals.next()
                let first = loop.now()
                await holder.stop()
                // One request can come as several signals. If a terminal is closed, its shell and the kernel send SIGHUP, and timeout(1) sends its signal to
                // the process and to the group.
                while try await signals.next() == SIGHUP || loop.now() < first + Self.oneRequest {}
                await holder.skipHooks()
            }
            if let process {
                group.addTask {
                    try await loop.readable(process)
                    await holder.stop()
                }
            }
            if invocation[Flags.untilEOF] {
                group.addTask {
                    try await Self.endOfInput(on: loop)
                    await holder.stop()
                }
            }
            if let listening { group.addTask { await listening.keepBeating { await holder.renewNow() } } }
            let events = coordinator.connectionEvents
            group.addTask { for await event in events { await holder.handle(event) } }
            defer { group.cancelAll() }
            if let error = await holder.run() { throw error }
            return ExitCode.yes
        }
    }

    /// Signals within this time of the first one are the same request to stop.
    private static let oneRequest: Duration = .seconds(1)

    /// Waits until stdin is at its end, and drops everything before it. A stdin that cannot be read is at its end.
    /// - Throws: `CancellationError`.
    private static func endOfInput(on loop: MainLoop) async throws {
        var buffer = [UInt8](repeating: 0, count: 16 * 1024)
        // A process in the background of its terminal is stopped if it reads there, and a stopped process renews nothing. Ignored, the signal makes that read
        // fail.
        signal(SIGTTIN, SIG_IGN)
        while true {
            // A file always has its bytes, or its end, at hand.
            do { try await loop.readable(STDIN_FILENO) } catch let error as SystemCallError where error.code == EPERM {}
            let count = read(STDIN_FILENO, &buffer, buffer.count)
            if count < 0, errno == EINTR || errno == EAGAIN { continue }
            if count < 0, errno == EIO, isInBackground {
                // What was typed is for another process.
                try await loop.sleep(for: .seconds(1))
                continue
            }
            if count <= 0 { return }
            // A device such as /dev/zero is readable all the time.
            await Task.yield()
            try Task.checkCancellation()
        }
    }

    /// Whether stdin is a terminal that exists and belongs to other processes now.
    private static var isInBackground: Bool {
        let foreground = tcgetpgrp(STDIN_FILENO)
        return foreground > 0 && foreground != getpgrp()
    }

    private func processDescriptor(_ pid: Int32) throws(CoordinationError) -> CInt {
        let descriptor = qq_process_open(pid)
        guard descriptor >= 0 else {
            throw CoordinationError(
                .unavailable, "cannot hold for process \(pid)", because: SystemCallError("pidfd_open").reason, at: "--pid",
                hint: "check that it runs: ps -p \(pid)")
        }
        return descriptor
    }

    /// `--once`: renews the leases that this user holds, once.
    private func renewOnce(_ names: [String]) async throws -> Int32 {
        var code = ExitCode.yes
        for name in names {
            try contender().validate(name: name, identity: identity, ttl: ttl)
            guard var grant = try await ourGrant(of: name) else {
                try await tellNotOurs(name, orElse: "acquire it first: qq acquire \(name)" + (slots.map { " --slots \($0)" } ?? ""))
                code = ExitCode.no
                continue
            }
            grant.ttl = invocation[Flags.ttl] ?? grant.ttl
            let sentAt = loop.now()
            let asked = grant
            switch try await retrying({ () throws(CoordinationError) in try await coordinator.renew(asked) }) {
            case .renewed(var renewed):
                renewed.deadline = sentAt + renewed.ttl
                try GrantStore().save(renewed, server: server)
                try tell(
                    "renewed", name: name, slot: slot(of: renewed, as: name), identity: renewed.identity, token: renewed.token,
                    expiresIn: renewed.ttl, reason: nil)
            case .lost(let state):
                GrantStore().forget(grant, server: server)
                messages.note("\(title(name, grant)) is no longer ours: it is \(Rendering.sentence(state))")
                code = ExitCode.no
            }
        }
        return code
    }

    /// Prints an event of an election that is held.
    /// - Parameter slot: the slot that is held; nil without slots, or while none is held.
    func tell(
        _ event: String, name: String, slot: Slot? = nil, identity: String, token: FencingToken?, expiresIn: Duration?, reason: String?,
        address: String? = nil, at time: WallTime = .now()
    ) throws(CoordinationError) {
        switch output.form {
        case .json:
            try output.print(
                json: Schemas.holding(
                    event, name: name, slot: slot, slots: slots, identity: identity, token: token, expiresIn: expiresIn, reason: reason,
                    address: address, at: time, server: server))
        case .plain where output.isForJournal:
            let title = name + (slot?.inBrackets ?? "")
            try output.print(entry: JournalText.holding(event, title: title, token: token, reason: reason, address: address))
        case .plain:
            var record = [
                time.rfc3339(fractionDigits: 3), name, event, token?.description,
                address.map { $0 + (reason.map { ": " + $0 } ?? "") } ?? reason,
            ]
            if slots != nil { record.append(slot.map { String($0.number) }) }
            try output.print(record: record)
        case .terminal:
            let color: Output.Color =
                ["elected", "renewed", "connected", "address_taken"].contains(event)
                ? .good : ["lost", "disconnected", "unreachable"].contains(event) ? .bad : .warning
            try output.print(
                output.color(time.rfc3339(fractionDigits: 3), .faint) + "  " + output.color(name, .strong) + (slot?.inBrackets ?? "") + "  "
                    + output.color(event.split(separator: "_").joined(separator: " "), color) + (token.map { "  token \($0)" } ?? "")
                    + (address.map { "  \($0)" } ?? "")
                    + (reason.map { "  " + Printable.text($0) } ?? ""))
        }
    }
}
