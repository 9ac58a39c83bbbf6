import QQCore

import struct LeaderElection.SystemConnector

extension SystemDescription {
    /// Checks that this version can use the system, and that the system takes each flag that was given.
    /// - Throws: `.unsupported` for a system that is known by its URL only, or cannot do what a flag asks for; `.usage` for another system's flag.
    func check(_ invocation: Invocation, at server: ServerURL) throws(CoordinationError) {
        guard let capabilities = connector.capabilities, isSpoken else { throw notSpoken(at: server) }
        if invocation.values.isEmpty { return }
        if invocation.isGiven(Flags.priority) { try capabilities().require(.priority, for: "use --priority", at: server) }
        if invocation.isGiven(Flags.note) { try capabilities().require(.note, for: "use --note", at: server) }
        for refused in refusedFlags() where invocation.isGiven(refused.flag) {
            throw CoordinationError(
                .usage, "cannot use \(refused.flag.long)", because: refused.reason, at: server.description, hint: refused.hint)
        }
        let own = ownFlags
        func isOwn(_ flag: AnyFlag) -> Bool { own.contains { $0.name == flag.name } }
        if !url.isOverNetwork {
            // Flags of systems on this machine do not concern networks.
            let local = Systems.all.filter { !$0.url.isOverNetwork }.flatMap(\.ownFlags).map(\.name)
            let flag = Flags.access.first { invocation.isGiven($0) && $0.group == .access && !local.contains($0.name) }
            if let flag { throw notReached(flag, at: server) }
        }
        for system in Systems.all where system.url != url {
            for flag in system.ownFlags where invocation.isGiven(flag) && !isOwn(flag) {
                let owners = Systems.all.filter { $0.ownFlags.contains { $0.name == flag.name } }.map(\.displayName)
                throw CoordinationError(
                    .usage, "cannot use \(flag.long)", because: "it is for \(Systems.list(owners))", at: server.description,
                    hint: "leave it out")
            }
        }
    }

    /// - Throws: `.unsupported` for a system that is known by its URL only.
    func coordinator(_ input: CoordinatorInput) throws(CoordinationError) -> any Coordinator {
        guard let makeCoordinator else { throw notSpoken(at: input.url) }
        try connector.refuseUnknownOptions(of: input.url) { $0.quoted }
        return try makeCoordinator(input)
    }

    private func notReached(_ flag: AnyFlag, at server: ServerURL) -> CoordinationError {
        CoordinationError(
            .usage, "cannot use \(flag.long)", because: "\(displayName) are not reached over a network", at: server.description,
            hint: "leave it out, or name a server such as -s nats://HOST:4222")
    }

    private func notSpoken(at server: ServerURL) -> CoordinationError {
        CoordinationError(
            .unsupported, "cannot use \(url.name)",
            because: "this version of qq supports only \(Systems.list(Systems.spoken.map(\.displayName)))", at: server.description,
            hint: "name a folder with -s file:///DIR, or servers such as -s nats://HOST:4222")
    }
}
