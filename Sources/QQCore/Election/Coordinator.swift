/// A system that elections live on, reached at one server URL.
///
/// The protocols that it combines are what every system can do; a function takes the narrowest of them that it needs. What only some systems can do is a
/// property that is nil for the others. `capabilities` then has the reason, and `require` throws it. A system that conforms to the property's protocol as
/// well gets the property from an extension: properties, unlike `as?`, cost no lookup of a conformance when a command starts.
public protocol Coordinator: Leasing, ElectionReader, WaitingQueue, SteppingDown, ElectionNaming, Connection, ClusterReporting {
    var capabilities: Capabilities { get }

    /// Lists elections; nil without `Capability.listElections`.
    var lister: (any ElectionLister)? { get }

    /// The queue that the servers keep; nil without `Capability.cancelWait` and `Capability.backoffAdvice`.
    var serverQueue: (any ServerQueue)? { get }

    /// Membership in elections; nil if the system has no members that can be asked.
    var membership: (any Membership)? { get }
}

extension Coordinator {
    public var lister: (any ElectionLister)? { nil }
    public var serverQueue: (any ServerQueue)? { nil }
    public var membership: (any Membership)? { nil }

    /// Returns `facet`, which has to be the property of this system that belongs to `capability`.
    /// - Throws: `CoordinationError` of kind `.unsupported` if the system cannot do it.
    public func require<Facet>(_ facet: Facet?, _ capability: Capability, for what: String) throws(CoordinationError) -> Facet {
        guard let facet, capabilities.has(capability) else { throw capabilities.unsupported(capability, what, at: server) }
        return facet
    }
}

extension Coordinator where Self: ElectionLister {
    public var lister: (any ElectionLister)? { self }
}

extension Coordinator where Self: ServerQueue {
    public var serverQueue: (any ServerQueue)? { self }
}

extension Coordinator where Self: Membership {
    public var membership: (any Membership)? { self }
}
