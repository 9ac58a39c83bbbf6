import CKernel
import Glibc
import QQCore
import QQGuard
import QQLoop

extension Setup {
    /// `keepalive NAME…`: holds elections until stopped.
    func keepalive() async throws -> Int32 {
        let addresses = addresses
        guard addresses.isEmpty || names.count == 1 else {
            throw UsageError("--vip needs exactly one election, not \(names.count)", hint: "run one qq keepalive for each")
        }
        try checkToken()
        if invocation[Flags.once] { return try await asking { try await renewOnce(names) } }
        let signals = try stopSignals()
        let process = try invocation[Flags.pid].map { pid throws(CoordinationError) in try processDescriptor(pid) }
        progress?.wait(for: WaitingText.asking(server))
        defer { progress?.end() }
        let holder = ElectionHolder(self)
        for name in names { try await holder.add(name) }
        try await holder.carry(addresses)
        return try await withThrowingTaskGroup(of: Void.self) { group in
            let loop = loop
            group.addTask {
                _ = try await signals.next()
                await holder.stop()
            }
            if let process {
                group.addTask {
                    try await loop.readable(process)
                    await holder.stop()
                }
            }
            let events = coordinator.connectionEvents
            group.addTask { for await event in events { await holder.handle(event) } }
            defer { group.cancelAll() }
            if let error = await holder.run() { throw error }
            return ExitCode.yes
        }
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
            try coordinator.validate(name: name, identity: identity, ttl: ttl)
            guard var grant = try await ourGrant(of: name) else {
                try await tellNotOurs(name, orElse: "acquire it first: qq acquire \(name)")
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
                try tell("renewed", name: name, identity: renewed.identity, token: renewed.token, expiresIn: renewed.ttl, reason: nil)
            case .lost(let state):
                GrantStore().forget(grant, server: server)
                messages.note("\(name) is no longer ours: it is \(Rendering.sentence(state))")
                code = ExitCode.no
            }
        }
        return code
    }

    /// Prints an event of an election that is held.
    func tell(
        _ event: String, name: String, identity: String, token: FencingToken?, expiresIn: Duration?, reason: String?,
        address: String? = nil, at time: WallTime = .now()
    ) throws(CoordinationError) {
        switch output.form {
        case .json:
            try output.print(
                json: Schemas.holding(
                    event, name: name, identity: identity, token: token, expiresIn: expiresIn, reason: reason, address: address, at: time,
                    server: server))
        case .plain:
            try output.print(record: [
                time.rfc3339(fractionDigits: 3), name, event, token?.description,
                address.map { $0 + (reason.map { ": " + $0 } ?? "") } ?? reason,
            ])
        case .terminal:
            let color: Output.Color =
                ["elected", "renewed", "connected", "address_taken"].contains(event)
                ? .good : ["lost", "disconnected", "unreachable"].contains(event) ? .bad : .warning
            try output.print(
                output.color(time.rfc3339(fractionDigits: 3), .faint) + "  " + output.color(name, .strong) + "  "
                    + output.color(event.split(separator: "_").joined(separator: " "), color) + (token.map { "  token \($0)" } ?? "")
                    + (address.map { "  \($0)" } ?? "")
                    + (reason.map { "  " + Printable.text($0) } ?? ""))
        }
    }
}
