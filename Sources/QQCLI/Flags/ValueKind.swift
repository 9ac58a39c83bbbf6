/// What a value is, for completion: which candidates a shell offers.
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
    /// An election the server knows, asked for with `qq __complete elections`.
    case election
    /// An election of which this user holds a saved grant, asked for with `qq __complete grants`.
    case grant
    /// A context, asked for with `qq __complete contexts`.
    case context
    /// A command line for `sh -c`; its first word is completed.
    case command
    case pid
    /// The name of one of our own commands.
    case commandName
    /// The name of one of our manual pages.
    case manPage
}

/// The heading a flag stands under in help and manual pages, in this order.
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
