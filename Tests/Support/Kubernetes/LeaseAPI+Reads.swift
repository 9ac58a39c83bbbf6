import QQCore

extension LeaseAPI {
    func get(_ request: Request, _ call: Attributes, _ format: Format) throws(APIStatus) -> Answer {
        let key = LeaseStore.Key(call.namespace, call.name)
        let leases = try snapshot(request)
        guard let object = leases[key] else { throw .notFound(call.name) }
        return Self.answer(200, format.single(object))
    }

    /// The leases as a call with this `resourceVersion` sees them.
    private func snapshot(_ request: Request) throws(APIStatus) -> [LeaseStore.Key: LeaseObject] {
        let asked = try version(request)
        let stale = cache.withLock { $0.stale }
        return try store.transact { (state) throws(APIStatus) -> [LeaseStore.Key: LeaseObject] in
            if let asked, asked > state.contents.version { throw Self.inFuture(asked, state.contents.version) }
            if asked != nil, let stale, asked ?? 0 <= stale { return state.leases(at: stale) }
            return state.contents.leases
        }
    }

    /// `resourceVersion`; nil if it is absent or empty.
    func version(_ request: Request) throws(APIStatus) -> UInt64? {
        guard let text = request.parameter("resourceVersion"), !text.isEmpty else { return nil }
        guard let version = UInt64(text) else {
            throw .internalError(
                "resourceVersion: Invalid value: \(goQuoted(text)): strconv.ParseUint: parsing \(goQuoted(text)): invalid syntax")
        }
        return version
    }

    private static func inFuture(_ version: UInt64, _ current: UInt64) -> APIStatus {
        var status = APIStatus.tooLarge(version, current: current)
        status.after = .seconds(3)
        return status
    }

    // MARK: List

    func list(_ request: Request, _ call: Attributes, _ format: Format) throws(APIStatus) -> Answer {
        let selection = try Selection(call, request)
        let asked = try version(request)
        let match = request.parameter("resourceVersionMatch")
        if match != nil, asked == nil {
            throw .invalidOption(
                "ListOptions", "resourceVersionMatch", "FieldValueForbidden",
                "Forbidden: resourceVersionMatch is forbidden unless resourceVersion is provided")
        }
        let token = try request.parameter("continue").flatMap { $0.isEmpty ? nil : $0 }.map(Continuation.init(parsing:))
        let stale = cache.withLock { $0.stale }
        // From the cache, which does not page.
        let isCached = asked == 0
        let limit = isCached ? 0 : max(0, Int(request.parameter("limit") ?? "") ?? 0)
        let (leases, version) = try store.transact { (state) throws(APIStatus) -> ([LeaseStore.Key: LeaseObject], UInt64) in
            let contents = state.contents
            if let token, token.version > 0, !isCached {
                guard token.version >= contents.compacted else { throw token.expired }
                return (state.leases(at: UInt64(token.version)), UInt64(token.version))
            }
            if let asked, asked > contents.version { throw Self.inFuture(asked, contents.version) }
            if match == "Exact", let asked {
                guard asked >= contents.compacted else { throw .listTooOld }
                return (state.leases(at: asked), asked)
            }
            if asked != nil, let stale, asked ?? 0 <= stale { return (state.leases(at: stale), stale) }
            return (contents.leases, contents.version)
        }
        let all = leases.values.filter(selection.includes).sorted { $0.key < $1.key }
        let rest = token.map { token in all.filter { !$0.key.path(in: selection).utf8.lexicographicallyPrecedes(token.start.utf8) } } ?? all
        let page = limit > 0 ? Array(rest.prefix(limit)) : rest
        var metadata: JSONObject = ["resourceVersion": .string("\(version)")]
        if page.count < rest.count, let last = page.last {
            metadata["continue"] = .string(
                Continuation(version: Int64(clamping: version), start: last.key.path(in: selection) + "\0").text)
            if !selection.isRestricted { metadata["remainingItemCount"] = .integer(Int64(rest.count - page.count)) }
        }
        return Self.answer(200, format.list(metadata, page))
    }
}

extension LeaseStore.Key {
    /// The path that continuations have: relative to the namespace, if the list is of one.
    fileprivate func path(in selection: Selection) -> String { selection.namespace == nil ? path : name }
}

/// The text by which the next page of a list is asked for.
struct Continuation: Sendable, Hashable {
    /// -1 for the newest.
    var version: Int64
    /// The first key that is wanted, without the leading slash.
    var start: String

    var text: String { text(start: "/" + start) }

    private func text(start: String) -> String {
        let json: JSONValue = ["v": "meta.k8s.io/v1", "rv": .integer(version), "start": .string(start)]
        return RawURLBase64.encode(JSONWriter.bytes(json))
    }

    /// 410 with the text to go on with at the newest version, whose key has no slash.
    var expired: APIStatus {
        .expired(
            "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue "
                + "parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the "
                + "provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the "
                + "first chunk was returned and now may show up in the list.",
            continuation: Continuation(version: -1, start: start).text(start: start))
    }

    init(version: Int64, start: String) { (self.version, self.start) = (version, start) }

    init(parsing text: String) throws(APIStatus) {
        guard let bytes = RawURLBase64.decode(text) else {
            throw .badRequest("invalid continue token: continue key is not valid: illegal base64 data at input byte 0")
        }
        guard let json = try? JSONValue.parse(bytes), let version = json["rv"]?.int64Value, let start = json["start"]?.stringValue else {
            let first = bytes.first ?? 0
            let shown = first >= 0x7F || first < 0x20 ? "\\x" + hexadecimal(first) : String(Unicode.Scalar(first))
            throw .badRequest(
                "invalid continue token: continue key is not valid: invalid character '\(shown)' looking for beginning of value")
        }
        self.init(version: version, start: start.hasPrefix("/") ? String(start.dropFirst()) : start)
    }
}
