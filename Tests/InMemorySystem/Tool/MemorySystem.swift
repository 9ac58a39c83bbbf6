#if DEBUG
    import Glibc
    import QQCore

    import struct LeaderElection.BackoffRange
    import struct LeaderElection.SystemConnector

    @testable import QQCLI

    extension ServerURL.System {
        /// `memory://[/PREFIX]`.
        static let memory = ServerURL.System(name: "memory", schemes: [.init("memory")], authority: .none, path: .prefix)
    }

    extension SystemDescription {
        static let memory = SystemDescription(
            connector: SystemConnector(
                url: .memory, displayName: "in-memory elections", identity: { _ in "memory-\(getpid())" }, ttl: .seconds(7),
                backoff: BackoffRange(initial: .milliseconds(10), maximum: .seconds(1)), capabilities: { MemoryCoordinator.capabilities }),
            flags: { [Flags.shelf.erased] }, secretVariables: ["QQ_MEMORY_KEY"],
            columns: [StatusColumn(heading: "TERM") { $0.termID }],
            unreachableHint: "give it back its memory",
            documentation: {
                SystemDocumentation(
                    urls: "`memory://`[`/`*PREFIX*]",
                    meaning: "The memory of one process: the election *NAME* is a word of small letters. See qq-memory(7).",
                    protocol: "none", testedAgainst: ["itself"],
                    environment: [("QQ_MEMORY_KEY", "A secret that nothing asks for.")],
                    notes: ["ttl": "In memory, a lease lasts seven seconds by default."],
                    commandNotes: [.status: "The column of in-memory elections is the term."],
                    endpointFields: [.init("elections_kept", .count, optional: true, "Memory: how many elections there were.")],
                    manual: {
                        ManPage(
                            name: "qq-memory", section: 7, summary: "elections in memory",
                            sections: [.init("DESCRIPTION", [.text("What is kept in memory ends with the process.")])])
                    })
            },
            makeCoordinator: { input in
                MemoryCoordinator(server: input.url, shelf: input.invocation[Flags.shelf] ?? "", clock: input.loop)
            })
    }

    extension Flags {
        static let shelf = Flag<String>(
            "shelf", value: "NAME", kind: .text, group: .access, help: "Memory: where elections are kept",
            more: "Memory: elections on different shelves have nothing to do with each other.", parse: Values.text)
    }
#endif
