import QQCore

/// The API server's checks of a Lease's fields, in its order and words (source: `ValidateLease`, `ValidateObjectMeta`).
enum LeaseValidation {
    typealias Cause = APIStatus.Cause

    static let subdomain =
        "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an "
        + "alphanumeric character (e.g. 'example.com', regex used for validation is "
        + "'[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')"
    static let labelValue =
        "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an "
        + "alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is "
        + "'(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')"
    static let namePart =
        "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character "
        + "(e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')"

    static func causes(_ object: LeaseObject) -> [Cause] { metadata(object.metadata) + spec(object.spec) }

    private static func metadata(_ metadata: LeaseObject.Metadata) -> [Cause] {
        var causes: [Cause] = []
        if !metadata.generateName.isEmpty {
            // The end of the name is added by the server.
            let sample = metadata.generateName.hasSuffix("-") ? metadata.generateName + "a" : metadata.generateName
            causes += nameFaults(sample).map { invalid("metadata.generateName", goQuoted(metadata.generateName), $0) }
        }
        if metadata.name.isEmpty {
            causes.append(
                Cause(reason: "FieldValueRequired", message: "Required value: name or generateName is required", field: "metadata.name"))
        } else {
            causes += nameFaults(metadata.name).map { invalid("metadata.name", goQuoted(metadata.name), $0) }
        }
        for (key, value) in metadata.labels.sorted(by: { $0.key < $1.key }) {
            causes += qualifiedNameFaults(key).map { invalid("metadata.labels", goQuoted(key), $0) }
            if value.utf8.count > 63 { causes.append(invalid("metadata.labels", goQuoted(value), "must be no more than 63 bytes")) }
            if !value.isEmpty, !isPart(value) { causes.append(invalid("metadata.labels", goQuoted(value), labelValue)) }
        }
        for key in metadata.annotations.keys.sorted() {
            causes += qualifiedNameFaults(key.lowercased()).map { invalid("metadata.annotations", goQuoted(key), $0) }
        }
        if metadata.annotations.reduce(0, { $0 + $1.key.utf8.count + $1.value.utf8.count }) > 262_144 {
            causes.append(
                Cause(
                    reason: "FieldValueTooLong", message: "Too long: may not be more than 262144 bytes", field: "metadata.annotations"))
        }
        for finalizer in metadata.finalizers {
            causes += qualifiedNameFaults(finalizer).map { invalid("metadata.finalizers", goQuoted(finalizer), $0) }
        }
        return causes
    }

    private static func spec(_ spec: LeaseObject.Spec) -> [Cause] {
        var causes: [Cause] = []
        if let duration = spec.leaseDurationSeconds, duration <= 0 {
            causes.append(invalid("spec.leaseDurationSeconds", "\(duration)", "must be greater than 0"))
        }
        if let transitions = spec.leaseTransitions, transitions < 0 {
            causes.append(invalid("spec.leaseTransitions", "\(transitions)", "must be greater than or equal to 0"))
        }
        if let strategy = spec.strategy, strategy != "OldestEmulationVersion", !strategy.contains("/") {
            causes.append(
                Cause(
                    reason: "FieldValueNotSupported",
                    message: "Unsupported value: \(goQuoted(strategy)): supported values: \"OldestEmulationVersion\"",
                    field: "spec.strategy.strategy"))
        }
        if spec.preferredHolder ?? "" != "", spec.strategy ?? "" == "" {
            causes.append(
                Cause(
                    reason: "FieldValueForbidden", message: "Forbidden: may only be specified if `strategy` is defined",
                    field: "spec.preferredHolder"))
        }
        return causes
    }

    private static func invalid(_ field: String, _ value: String, _ reason: String) -> Cause {
        Cause(reason: "FieldValueInvalid", message: "Invalid value: \(value): \(reason)", field: field)
    }

    static func nameFaults(_ name: String) -> [String] {
        let labels = name.split(separator: ".", omittingEmptySubsequences: false)
        let isValid = labels.allSatisfy { label in
            guard let first = label.utf8.first, let last = label.utf8.last, isSmall(first), isSmall(last) else { return false }
            return label.utf8.allSatisfy { isSmall($0) || $0 == UInt8(ascii: "-") }
        }
        return (name.utf8.count > 253 ? ["must be no more than 253 characters"] : []) + (isValid ? [] : [subdomain])
    }

    private static func qualifiedNameFaults(_ key: String) -> [String] {
        let parts = key.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        let prefix = parts.count == 2 ? nameFaults(String(parts[0])).map { "prefix part " + $0 } : []
        let name = String(parts.last ?? "")
        if name.isEmpty { return prefix + ["name part must be non-empty", namePart] }
        return prefix + (name.utf8.count > 63 ? ["name part must be no more than 63 bytes"] : []) + (isPart(name) ? [] : [namePart])
    }

    private static func isPart(_ text: String) -> Bool {
        guard let first = text.utf8.first, let last = text.utf8.last, isAlphanumeric(first), isAlphanumeric(last) else { return false }
        return text.utf8.allSatisfy { isAlphanumeric($0) || "-_.".utf8.contains($0) }
    }

    private static func isSmall(_ byte: UInt8) -> Bool {
        (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(byte) || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
    }

    private static func isAlphanumeric(_ byte: UInt8) -> Bool { isSmall(byte) || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) }
}
