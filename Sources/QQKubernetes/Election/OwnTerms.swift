import QQCore

/// The terms of one lease that this process has ended or might have begun, and the writes that can still begin one. Nothing works under any of them. Pure.
struct OwnTerms: Sendable {
    private struct Term: Sendable {
        var id: String
        /// The records that this process has written in it; empty if the term was lost.
        var records: [LeaseRecord]
    }

    private var terms: [Term] = []
    /// The writes that can still begin a term.
    private(set) var attempts: [KubernetesCoordinator.Attempt] = []

    /// The result of an older request has expired, or counts as another holder's until then.
    private static let most = 256

    /// A server that is away for days makes many, of which at most one can be carried out.
    private static let mostAttempts = 64

    var ids: Set<String> { Set(terms.map(\.id)) }

    mutating func add(_ id: String, _ records: [LeaseRecord]) { terms = terms.suffix(Self.most - 1) + [Term(id: id, records: records)] }

    mutating func remove(_ id: String) { terms.removeAll { $0.id == id } }

    mutating func add(_ attempt: KubernetesCoordinator.Attempt) { attempts = attempts.suffix(Self.mostAttempts - 1) + [attempt] }

    mutating func remove(_ attempt: KubernetesCoordinator.Attempt) { attempts.removeAll { $0.mark.id == attempt.mark.id } }

    mutating func removeAttempts() { attempts = [] }

    /// Forgets writes that can no longer be carried out: those over another version than the newest.
    /// - Parameters:
    ///   - newest: the object as it was read; nil if there is none.
    ///   - readAt: the moment before that was asked. A write that was sent later is kept.
    mutating func prune(_ newest: LeaseObject?, readAt: BootInstant) {
        attempts.removeAll { attempt in
            guard attempt.sentAt <= readAt else { return false }
            guard let newest, newest.uid == attempt.uid else { return true }
            return newest.resourceVersion != attempt.version && newest.mark?.id != attempt.mark.id
        }
    }

    /// Whether another process might have the lease, so that it must not be given up, whatever mark it has: client-go with our identity takes it for its own, and
    /// leaves our mark in it.
    func hasLost(_ id: String) -> Bool { terms.contains { $0.id == id && $0.records.isEmpty } }

    /// Whether the lease is just as this process has left it.
    func isLeftover(_ object: LeaseObject) -> Bool {
        guard let mark = object.mark else { return false }
        return terms.contains { $0.id == mark.id && $0.records.contains(object.record) }
    }
}
