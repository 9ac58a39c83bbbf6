/// The kind of a value, by which shells choose the candidates that they offer.
enum ValueKind: Sendable, Equatable {
    /// No value: the flag is a switch.
    case none
    /// Free text: nothing to offer.
    case text
    case duration
    case count
    /// One of a few words; each shell offers exactly these.
    case choice([String])
    case file
    case directory
    case serverURL
    /// An election of the server; candidates come from `qq __complete elections`.
    case election
    /// An election of which this user has a saved grant; candidates come from `qq __complete grants`.
    case grant
    /// A context; candidates come from `qq __complete contexts`.
    case context
    /// A command line for `sh -c`; its first word is completed.
    case command
    case pid
    /// The name of a command of `qq`.
    case commandName
    /// The name of a manual page of `qq`.
    case manPage
}

/// The headings of flags in help and manual pages, in their order.
enum FlagGroup: String, CaseIterable, Sendable {
    case lease = "Lease"
    case selection = "Selection"
    case command = "Command"
    case hooks = "Hooks"
    case retrying = "Retrying"
    case server = "Server"
    case access = "Access"
    case output = "Output"
    case help = "Help"
}
