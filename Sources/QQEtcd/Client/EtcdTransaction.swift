/// Operations that are carried out together, chosen by conditions (KV/Txn). No key may be put twice.
public struct EtcdTransaction: Sendable, Hashable {
    /// Something that must be true of a key.
    public enum Condition: Sendable, Hashable {
        /// The key does not exist.
        case isAbsent([UInt8])
        /// The key was created at this revision, and has existed since.
        case wasCreated([UInt8], at: Int64)
        /// The key was last put at this revision.
        case wasModified([UInt8], at: Int64)
        /// All of the keys that exist were created at this revision or later. Use it of keys one of which exists.
        case wereCreated(EtcdKeys, atOrAfter: Int64)
        /// The key has this value.
        case hasValue([UInt8], [UInt8])
    }

    public enum Operation: Sendable, Hashable {
        case range(EtcdRange)
        /// - Parameter lease: 0 for none.
        case put(key: [UInt8], value: [UInt8], lease: Int64)
        case delete(EtcdKeys)
    }

    /// An answer, in the order of the operations.
    public enum Answer: Sendable, Hashable {
        case range(EtcdRangeAnswer)
        case put
        /// The number of deleted keys.
        case deleted(Int64)
    }

    /// All of them must be true for the transaction to succeed.
    public var conditions: [Condition]
    public var success: [Operation]
    public var failure: [Operation]

    public init(if conditions: [Condition], then success: [Operation], otherwise failure: [Operation] = []) {
        self.conditions = conditions
        self.success = success
        self.failure = failure
    }
}

public struct EtcdTransactionAnswer: Sendable, Hashable {
    /// The cluster's revision after the transaction: that of its puts and deletions if there were any.
    public var revision: Int64
    /// The Raft term of the member that answers.
    public var term: UInt64
    /// Whether the conditions were true.
    public var succeeded: Bool
    /// The answers to `success` or `failure`.
    public var answers: [EtcdTransaction.Answer]

    public init(revision: Int64, term: UInt64 = 0, succeeded: Bool, answers: [EtcdTransaction.Answer]) {
        self.revision = revision
        self.term = term
        self.succeeded = succeeded
        self.answers = answers
    }
}
