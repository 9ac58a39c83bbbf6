import QQCore

/// The parameters of a write.
struct WriteOptions: Sendable {
    var isDryRun = false
    var isStrict = false
    var warns = true
    var manager: String

    /// - Parameter kind: `CreateOptions`, `UpdateOptions` or `PatchOptions`.
    init(_ request: LeaseAPI.Request, _ kind: String) throws(APIStatus) {
        if let dryRun = request.parameter("dryRun"), !dryRun.isEmpty {
            guard dryRun == "All" else {
                throw .invalidOption(
                    kind, "dryRun", "FieldValueNotSupported", "Unsupported value: [\(goQuoted(dryRun))]: supported values: \"All\"")
            }
            isDryRun = true
        }
        switch request.parameter("fieldValidation") ?? "" {
        case "", "Warn": break
        case "Ignore": warns = false
        case "Strict": isStrict = true
        case let other:
            throw .invalidOption(
                kind, "fieldValidation", "FieldValueNotSupported",
                "Unsupported value: \(goQuoted(other)): supported values: \"\", \"Ignore\", \"Strict\", \"Warn\"")
        }
        let agent = request.header("user-agent") ?? "unknown"
        manager = request.parameter("fieldManager") ?? String(agent.prefix { $0 != "/" })
    }
}

extension LeaseAPI {
    // MARK: Create

    func create(_ request: Request, _ call: Attributes, _ user: User, _ format: Format) throws(APIStatus) -> Answer {
        guard !call.isNamed else { throw .methodNotAllowed }
        let options = try WriteOptions(request, "CreateOptions")
        let sent = try decode(request, options)
        let object = try placed(sent.object, call)
        let created = try store.transact(isDryRun: options.isDryRun) { (state) throws(APIStatus) in
            try insert(object, &state, options)
        }
        return Self.answer(201, format.single(shown(created, options)), headers: warnings(sent, options))
    }

    /// Puts a new object into the store.
    private func insert(_ new: LeaseObject, _ state: inout LeaseStore.State, _ options: WriteOptions) throws(APIStatus) -> LeaseObject {
        var object = new
        if object.metadata.name.isEmpty, !object.metadata.generateName.isEmpty {
            object.metadata.name = object.metadata.generateName + state.newSuffix()
        }
        let key = object.key
        guard let namespace = state.contents.namespaces[key.namespace] else {
            var status = APIStatus.namespaceNotFound(key.namespace)
            // The server looks again before it believes that there is no such namespace.
            status.after = .milliseconds(55)
            throw status
        }
        if namespace.deletion != nil { throw .namespaceTerminating(key.namespace, key.name) }
        if !settings.coordinatesElection { (object.spec.strategy, object.spec.preferredHolder) = (nil, nil) }
        let causes = LeaseValidation.causes(object)
        guard causes.isEmpty else { throw .invalid("Lease", key.name, causes) }
        guard object.metadata.resourceVersion.isEmpty else {
            throw .internalError("resourceVersion should not be set on objects to be created")
        }
        if let live = state.contents.leases[key] {
            throw .alreadyExists(key.name, isBeingDeleted: live.metadata.deletionTimestamp != nil)
        }
        let size = JSONWriter.bytes(object.json()).count
        guard size <= 2_097_152 else {
            throw .internalError(
                "rpc error: code = ResourceExhausted desc = trying to send message larger than max (\(size) vs. 2097152)")
        }
        object.metadata.uid = state.newUID()
        object.metadata.creationTimestamp = store.now()
        // A field that is dropped has an owner nevertheless.
        object.metadata.managedFields = FieldManagement.afterUpdate(by: options.manager, new, live: nil, base: [], at: store.now())
        return state.put(object)
    }

    /// An object that is not stored has no version.
    private func shown(_ object: LeaseObject, _ options: WriteOptions) -> LeaseObject {
        var object = object
        if options.isDryRun { object.metadata.resourceVersion = "" }
        return object
    }

    // MARK: Update

    func update(_ request: Request, _ call: Attributes, _ user: User, _ format: Format) throws(APIStatus) -> Answer {
        guard call.isNamed else { throw .methodNotAllowed }
        let options = try WriteOptions(request, "UpdateOptions")
        let sent = try decode(request, options)
        let object = try placed(sent.object, call)
        guard object.metadata.name == call.name else {
            throw .badRequest("the name of the object (\(object.metadata.name)) does not match the name on the URL (\(call.name))")
        }
        let (status, stored) = try store.transact(isDryRun: options.isDryRun) { (state) throws(APIStatus) -> (Int, LeaseObject) in
            guard let live = state.contents.leases[object.key] else {
                guard object.metadata.uid.isEmpty else { throw .wrongUID(object.key, sent: object.metadata.uid, present: "") }
                guard allows(user, .create, call.group, call.resource, call.namespace, call.name).allowed else {
                    throw Self.forbidden(call, user, verb: "create")
                }
                var new = object
                new.metadata.resourceVersion = ""
                return (201, shown(try insert(new, &state, options), options))
            }
            let manager = options.manager
            return (
                200,
                try replace(object, live, &state, options) { new in
                    // Entries that a client sends back are those that it has read.
                    if sent.resetsManagedFields || live.metadata.managedFields.isEmpty { return [] }
                    return FieldManagement.afterUpdate(
                        by: manager, new, live: live, base: live.metadata.managedFields, at: store.now())
                }
            )
        }
        return Self.answer(status, format.single(stored), headers: warnings(sent, options))
    }

    /// Replaces a stored object.
    /// - Parameter manage: the managed fields of the new object.
    func replace(
        _ sent: LeaseObject, _ live: LeaseObject, _ state: inout LeaseStore.State, _ options: WriteOptions,
        requiresVersion: Bool = true, _ manage: (LeaseObject) -> [ManagedFields]
    ) throws(APIStatus) -> LeaseObject {
        let name = live.metadata.name
        if !sent.metadata.uid.isEmpty, sent.metadata.uid != live.metadata.uid {
            throw .wrongUID(live.key, sent: sent.metadata.uid, present: live.metadata.uid)
        }
        let text = sent.metadata.resourceVersion
        guard let version = text.isEmpty ? 0 : UInt64(text) else {
            throw .internalError("strconv.ParseUint: parsing \(goQuoted(text)): invalid syntax")
        }
        if version == 0, requiresVersion {
            throw .invalid(
                "leases", name,
                [
                    APIStatus.Cause(
                        reason: "FieldValueInvalid", message: "Invalid value: 0: must be specified for an update",
                        field: "metadata.resourceVersion")
                ])
        }
        if version != 0, version != live.version { throw .conflict(name) }
        var object = sent
        object.metadata.uid = live.metadata.uid
        object.metadata.resourceVersion = live.metadata.resourceVersion
        object.metadata.creationTimestamp = live.metadata.creationTimestamp
        object.metadata.deletionTimestamp = live.metadata.deletionTimestamp
        object.metadata.generateName = live.metadata.generateName
        if !settings.coordinatesElection {
            if live.spec.strategy == nil { object.spec.strategy = nil }
            if live.spec.preferredHolder == nil { object.spec.preferredHolder = nil }
        }
        let causes = LeaseValidation.causes(object)
        guard causes.isEmpty else { throw .invalid("Lease", name, causes) }
        object.metadata.managedFields = manage(object)
        guard object.differs(from: live) else { return live }
        if object.metadata.deletionTimestamp != nil, object.metadata.finalizers.isEmpty {
            state.remove(object.key, last: object)
            return object
        }
        return options.isDryRun ? object : state.put(object)
    }

    // MARK: Bodies

    /// The type of a body: JSON if none is given.
    func contentType(_ request: Request) throws(APIStatus) -> String {
        let type = String((request.header("content-type") ?? "application/json").prefix { $0 != ";" })
        guard ["application/json", "application/yaml"].contains(type) else {
            throw APIStatus(
                code: 415, reason: "UnsupportedMediaType",
                message: "the body of the request was in an unknown format - accepted media types include: application/json, "
                    + "application/yaml, application/vnd.kubernetes.protobuf")
        }
        return type
    }

    func decode(_ request: Request, _ options: WriteOptions) throws(APIStatus) -> SentLease {
        let type = try contentType(request)
        let sent = try LeaseDecoder.decode(request.body, isYAML: type == "application/yaml")
        if options.isStrict, !sent.oddities.isEmpty {
            throw .badRequest(
                "Lease in version \"v1\" cannot be handled as a Lease: strict decoding error: \(sent.oddities.joined(separator: ", "))")
        }
        return sent
    }

    func warnings(_ sent: SentLease, _ options: WriteOptions) -> [(name: String, value: String)] {
        options.warns && !options.isStrict ? sent.oddities.map { ("warning", "299 - \(goQuoted($0))") } : []
    }

    /// The object in the namespace of the URL.
    func placed(_ object: LeaseObject, _ call: Attributes) throws(APIStatus) -> LeaseObject {
        guard object.metadata.namespace.isEmpty || object.metadata.namespace == call.namespace else {
            throw .badRequest("the namespace of the provided object does not match the namespace sent on the request")
        }
        var object = object
        object.metadata.namespace = call.namespace
        return object
    }

    // MARK: Delete

    func delete(_ request: Request, _ call: Attributes) throws(APIStatus) -> Answer {
        let options = try? JSONValue.parse(request.body)
        let isDryRun = request.parameter("dryRun") == "All" || options?["dryRun"]?.arrayValue?.isEmpty == false
        let (remaining, uid) = try store.transact(isDryRun: isDryRun) { (state) throws(APIStatus) -> (LeaseObject?, String) in
            let key = LeaseStore.Key(call.namespace, call.name)
            guard let live = state.contents.leases[key] else { throw .notFound(call.name) }
            if let uid = options?["preconditions"]?["uid"]?.stringValue, uid != live.metadata.uid {
                throw .conflict(
                    call.name,
                    "Precondition failed: UID in precondition: \(uid), UID in object meta: \(live.metadata.uid)")
            }
            if let version = options?["preconditions"]?["resourceVersion"]?.stringValue, version != live.metadata.resourceVersion {
                throw .conflict(
                    call.name,
                    "Precondition failed: ResourceVersion in precondition: \(version), ResourceVersion in object meta: "
                        + live.metadata.resourceVersion)
            }
            return (remove(live, &state), live.metadata.uid)
        }
        if let remaining { return Self.answer(200, remaining.json()) }
        return Self.answer(
            200,
            [
                "kind": "Status", "apiVersion": "v1", "metadata": .object(JSONObject()), "status": "Success",
                "details": ["name": .string(call.name), "group": .string(APIStatus.group), "kind": "leases", "uid": .string(uid)],
            ])
    }

    func deleteCollection(_ request: Request, _ call: Attributes, _ format: Format) throws(APIStatus) -> Answer {
        let selection = try Selection(call, request)
        let (removed, version) = try store.transact { (state) throws(APIStatus) -> ([LeaseObject], UInt64) in
            let version = state.contents.version
            let chosen = state.contents.leases.values.filter(selection.includes).sorted { $0.key < $1.key }
            for live in chosen { _ = remove(live, &state) }
            return (chosen, version)
        }
        return Self.answer(200, format.list(["resourceVersion": .string("\(version)")], removed))
    }

    /// - Returns: the object if finalizers keep it.
    private func remove(_ live: LeaseObject, _ state: inout LeaseStore.State) -> LeaseObject? {
        guard !live.metadata.finalizers.isEmpty else {
            state.remove(live.key)
            return nil
        }
        if live.metadata.deletionTimestamp != nil { return live }
        var object = live
        object.metadata.deletionTimestamp = store.now()
        return state.put(object)
    }
}
