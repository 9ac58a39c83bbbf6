import QQCore
import Synchronization

/// The etcd of a test's API servers: leases and namespaces, their history, and one counter for all versions.
///
/// It has no network and no time of its own. Several `LeaseAPI`s on one store are the replicas of a cluster.
public final class LeaseStore: Sendable {
    public struct Key: Sendable, Hashable, Comparable {
        public var namespace: String
        public var name: String

        public init(_ namespace: String, _ name: String) { (self.namespace, self.name) = (namespace, name) }

        var path: String { namespace + "/" + name }

        public static func < (one: Key, other: Key) -> Bool { one.path.utf8.lexicographicallyPrecedes(other.path.utf8) }
    }

    public enum Condition: Sendable {
        case alive
        /// Reads and writes hang, and writes that hang can still be carried out when it resumes.
        case paused
        /// Reads and writes hang, and nothing of them remains.
        case stopped
    }

    /// A write whose client has its answer, or will never get one, and that has not been carried out yet.
    public struct PendingWrite: Sendable {
        public var verb: LeaseAPI.Verb
        public var key: Key
        /// When `LeaseAPI.tick` carries it out; nil for on command only.
        var due: WallTime?
        var apply: @Sendable () -> Void
    }

    /// All that etcd keeps, to be restored later.
    public struct Backup: Sendable {
        fileprivate var contents: Contents
    }

    struct Namespace: Sendable, Hashable {
        var uid: String
        var version: UInt64
        var creation: WallTime
        var deletion: WallTime?
    }

    struct Contents: Sendable {
        var version: UInt64
        var leases: [Key: LeaseObject] = [:]
        var namespaces: [String: Namespace] = [:]
        var log: [Change] = []
        /// Versions before this one cannot be read any more.
        var compacted: UInt64 = 0
        /// The version of the last change that is not in the log any more.
        var forgotten: UInt64 = 0
    }

    /// A write of a lease.
    public struct Change: Sendable {
        public internal(set) var version: UInt64
        var object: LeaseObject
        var previous: LeaseObject?
        public var isDeletion = false

        public var key: Key { object.key }
        /// nil for a lease without holder, and for one that is removed.
        public var holder: String? { isDeletion || object.spec.holderIdentity == "" ? nil : object.spec.holderIdentity }
    }

    struct State: Sendable {
        var contents: Contents
        var condition = Condition.alive
        var pending: [PendingWrite] = []
        var uids: [String] = []
        var suffixes: [String] = []
        var made = 0
        var subscribers: [@Sendable (Change) -> Void] = []
        let now: @Sendable () -> WallTime
        /// The largest number of changes in the log; at least 2.
        let history: Int
    }

    let state: Mutex<State>
    let now: @Sendable () -> WallTime

    /// An empty store with the namespaces `default`, `kube-system` and `team`.
    /// - Parameters:
    ///   - clock: the servers' wall clock, for creation times and time-outs.
    ///   - version: the first version minus one.
    ///   - history: the largest number of changes that watches and lists of old versions can go back; half of it at least.
    public init(clock: @escaping @Sendable () -> WallTime = WallTime.now, version: UInt64 = 1000, history: Int = 20_000) {
        now = clock
        state = Mutex(State(contents: Contents(version: version), now: clock, history: max(2, history)))
        for name in ["default", "kube-system", "team"] { createNamespace(name) }
    }

    // MARK: Tests look and act past the API

    /// The newest version of anything.
    public var version: UInt64 { state.withLock { $0.contents.version } }

    /// A lease as JSON, or nil if there is none.
    public func lease(_ name: String, in namespace: String = "team") -> JSONValue? {
        state.withLock { $0.contents.leases[Key(namespace, name)]?.json() }
    }

    /// The value of `spec.holderIdentity`; nil if there is no lease or no such field.
    public func holder(_ name: String, in namespace: String = "team") -> String? {
        lease(name, in: namespace)?["spec"]?["holderIdentity"]?.stringValue
    }

    public var names: [Key] { state.withLock { $0.contents.leases.keys.sorted() } }

    public func createNamespace(_ name: String) {
        state.withLock { state in
            guard state.contents.namespaces[name] == nil else { return }
            state.contents.namespaces[name] = Namespace(uid: state.newUID(), version: state.next(), creation: state.now())
        }
    }

    /// Removes a lease, whatever its finalizers. Watches see it.
    public func remove(_ name: String, in namespace: String = "team") {
        state.withLock { $0.remove(Key(namespace, name)) }
    }

    /// Changes labels and annotations of a lease as another client would: nil removes one.
    public func edit(
        _ name: String, in namespace: String = "team", labels: [String: String?] = [:], annotations: [String: String?] = [:]
    ) {
        state.withLock { state in
            guard var object = state.contents.leases[Key(namespace, name)] else { return }
            for (key, value) in labels { object.metadata.labels[key] = value }
            for (key, value) in annotations { object.metadata.annotations[key] = value }
            state.put(object)
        }
    }

    /// Stores a lease as it is, without checks. `metadata` needs `name`; a uid, a creation time and a version are added.
    /// - Parameter manager: the owner of the fields that change.
    public func put(_ lease: JSONValue, in namespace: String = "team", by manager: String = "test") throws {
        var object = try LeaseDecoder.decode(lease).object
        state.withLock { state in
            object.metadata.namespace = namespace
            let live = state.contents.leases[object.key]
            object.metadata.uid = live?.metadata.uid ?? state.newUID()
            object.metadata.creationTimestamp = live?.metadata.creationTimestamp ?? state.now()
            object.metadata.managedFields = FieldManagement.afterUpdate(
                by: manager, object, live: live, base: live?.metadata.managedFields ?? [], at: state.now())
            state.put(object)
        }
    }

    /// Marks a namespace as being deleted, as DELETE does.
    public func terminate(namespace: String) { state.withLock { _ = $0.terminate(namespace) } }

    /// Removes a namespace and everything in it, as the namespace controller does.
    public func sweep(namespace: String) {
        state.withLock { state in
            for key in state.contents.leases.keys.sorted() where key.namespace == namespace { state.remove(key) }
            state.contents.namespaces[namespace] = nil
            _ = state.next()
        }
    }

    /// Raises the version counter, as writes to other resources do.
    public func advance(to version: UInt64) { state.withLock { $0.contents.version = max($0.contents.version, version) } }

    /// The next uids and the next ends of generated names.
    public func expect(uids: [String] = [], suffixes: [String] = []) {
        state.withLock { state in
            (state.uids, state.suffixes) = (uids, suffixes)
        }
    }

    /// Makes versions up to the newest one unreadable, as etcd's compaction does every five minutes. Caches keep theirs.
    public func compact() { state.withLock { $0.contents.compacted = $0.contents.version } }

    // MARK: Trouble

    /// Pauses or stops etcd. See `resume` for the writes that hang.
    public func set(_ condition: Condition) { state.withLock { $0.condition = condition } }

    /// Etcd works again. Pending writes for which `applies` is true are carried out in order, with the checks that they would always undergo;
    /// the others never are.
    public func resume(applying applies: (PendingWrite) -> Bool = { _ in false }) {
        let pending = state.withLock { state in
            state.condition = .alive
            defer { state.pending = [] }
            return state.pending
        }
        for write in pending where applies(write) { write.apply() }
    }

    public var pending: [PendingWrite] { state.withLock { $0.pending } }

    /// Carries out the pending writes for which `applies` is true; the others stay.
    public func applyPending(_ applies: (PendingWrite) -> Bool = { _ in true }) {
        let chosen = state.withLock { state in
            let chosen = state.pending.filter(applies)
            state.pending.removeAll(where: applies)
            return chosen
        }
        for write in chosen { write.apply() }
    }

    public func backUp() -> Backup { Backup(contents: state.withLock { $0.contents }) }

    /// Puts etcd back to what it was: versions and leases too. Restart the servers afterwards (`LeaseAPI.restart`), as operators have to.
    public func restore(_ backup: Backup) { state.withLock { $0.contents = backup.contents } }

    // MARK: For the API servers

    /// Has all changes from now on passed to `receive`, which must not use the store.
    public func subscribe(_ receive: @escaping @Sendable (Change) -> Void) { state.withLock { $0.subscribers.append(receive) } }

    /// Carries out `body` as one transaction.
    /// - Parameter isDryRun: nothing is stored and no watch gets an event.
    func transact<Result: Sendable>(
        isDryRun: Bool = false, _ body: (inout State) throws(APIStatus) -> Result
    ) throws(APIStatus) -> Result {
        try state.withLock { (state) throws(APIStatus) -> Result in
            guard isDryRun else { return try body(&state) }
            var copy = state
            copy.subscribers = []
            return try body(&copy)
        }
    }
}

extension LeaseObject {
    var key: LeaseStore.Key { LeaseStore.Key(metadata.namespace, metadata.name) }
    var version: UInt64 { UInt64(metadata.resourceVersion) ?? 0 }
}

extension LeaseStore.State {
    mutating func next() -> UInt64 {
        contents.version += 1
        return contents.version
    }

    mutating func newUID() -> String {
        if !uids.isEmpty { return uids.removeFirst() }
        made += 1
        let digits = String(made, radix: 16)
        return "5b1c0a9e-0000-4000-8000-" + String(repeating: "0", count: 12 - digits.count) + digits
    }

    mutating func newSuffix() -> String {
        if !suffixes.isEmpty { return suffixes.removeFirst() }
        return String((0..<5).map { _ in "bcdfghjklmnpqrstvwxz2456789".randomElement() ?? "b" })
    }

    /// Stores an object under the next version.
    @discardableResult mutating func put(_ object: LeaseObject) -> LeaseObject {
        var object = object
        let previous = contents.leases[object.key]
        object.metadata.resourceVersion = "\(next())"
        contents.leases[object.key] = object
        note(LeaseStore.Change(version: contents.version, object: object, previous: previous))
        return object
    }

    /// Removes an object. Its last state gets the next version in the event.
    mutating func remove(_ key: LeaseStore.Key, last: LeaseObject? = nil) {
        guard let previous = contents.leases.removeValue(forKey: key) else { return }
        var object = last ?? previous
        object.metadata.resourceVersion = "\(next())"
        note(LeaseStore.Change(version: contents.version, object: object, previous: previous, isDeletion: true))
    }

    mutating func terminate(_ name: String) -> LeaseStore.Namespace? {
        guard var namespace = contents.namespaces[name] else { return nil }
        if namespace.deletion == nil {
            namespace.deletion = now()
            namespace.version = next()
            contents.namespaces[name] = namespace
        }
        return namespace
    }

    private mutating func note(_ change: LeaseStore.Change) {
        if contents.log.count >= history {
            contents.forgotten = contents.log[history / 2 - 1].version
            contents.log.removeFirst(history / 2)
            contents.compacted = max(contents.compacted, contents.forgotten)
        }
        contents.log.append(change)
        for receive in subscribers { receive(change) }
    }

    /// The leases as they were at a version that is not compacted, or that a cache still has.
    func leases(at version: UInt64) -> [LeaseStore.Key: LeaseObject] {
        guard version < contents.version else { return contents.leases }
        var leases = contents.leases
        for change in contents.log.reversed() {
            if change.version <= version { break }
            leases[change.key] = change.previous
        }
        return leases
    }
}
