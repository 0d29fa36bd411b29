//! What the metadata says of things that this broker does not serve yet: access control, quotas, credentials, tokens, controllers.
//! Kept whole, by what each record is about, so that nothing is lost when a snapshot takes the place of the log.

use std::collections::BTreeMap;
use std::sync::Arc;

use duramen_wire::messages::metadata::{ClientQuotaRecord, MetadataRecord};

/// What a kept record is about: a later one about the same takes its place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Subject {
    AccessControlEntry([u8; 16]),
    ClientQuota {
        entity: Vec<(String, Option<String>)>,
        key: String,
    },
    ScramCredential {
        user: String,
        mechanism: i8,
    },
    DelegationToken(String),
    Controller(i32),
    ZkMigration,
}

/// The kept records.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct Kept {
    by_subject: Arc<BTreeMap<Subject, MetadataRecord>>,
}

/// What one record does to what is kept.
enum Change {
    Put(Subject),
    Remove(Subject),
}

impl Kept {
    /// Takes a record of one of the kept types; says whether it is of one.
    pub(super) fn replay(&mut self, record: &MetadataRecord) -> bool {
        match change_of(record) {
            None => return false,
            Some(Change::Put(subject)) => Arc::make_mut(&mut self.by_subject).insert(subject, record.clone()),
            Some(Change::Remove(subject)) => Arc::make_mut(&mut self.by_subject).remove(&subject),
        };
        true
    }

    /// All kept records, in an order that depends on them alone.
    pub fn records(&self) -> impl Iterator<Item = &MetadataRecord> {
        self.by_subject.values()
    }

    /// What of it somebody asked for and this broker does not enforce, in words, with its number.
    #[must_use]
    pub fn not_enforced(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for subject in self.by_subject.keys() {
            let name = match subject {
                Subject::AccessControlEntry(_) => "access control entries",
                Subject::ClientQuota { .. } => "client quotas",
                Subject::ScramCredential { .. } => "SCRAM credentials",
                Subject::DelegationToken(_) => "delegation tokens",
                Subject::Controller(_) | Subject::ZkMigration => continue,
            };
            *counts.entry(name).or_insert(0) += 1;
        }
        counts
    }
}

fn change_of(record: &MetadataRecord) -> Option<Change> {
    let change = match record {
        MetadataRecord::AccessControlEntry(entry) => Change::Put(Subject::AccessControlEntry(entry.id)),
        MetadataRecord::RemoveAccessControlEntry(entry) => Change::Remove(Subject::AccessControlEntry(entry.id)),
        MetadataRecord::ClientQuota(quota) if quota.remove => Change::Remove(quota_subject(quota)),
        MetadataRecord::ClientQuota(quota) => Change::Put(quota_subject(quota)),
        MetadataRecord::UserScramCredential(credential) => {
            Change::Put(scram_subject(&credential.name, credential.mechanism))
        }
        MetadataRecord::RemoveUserScramCredential(credential) => {
            Change::Remove(scram_subject(&credential.name, credential.mechanism))
        }
        MetadataRecord::DelegationToken(token) => Change::Put(Subject::DelegationToken(token.token_id.clone())),
        MetadataRecord::RemoveDelegationToken(token) => {
            Change::Remove(Subject::DelegationToken(token.token_id.clone()))
        }
        MetadataRecord::RegisterController(controller) => Change::Put(Subject::Controller(controller.controller_id)),
        MetadataRecord::ZkMigrationState(_) => Change::Put(Subject::ZkMigration),
        MetadataRecord::AbortTransaction(_)
        | MetadataRecord::BeginTransaction(_)
        | MetadataRecord::BrokerRegistrationChange(_)
        | MetadataRecord::ClearElr(_)
        | MetadataRecord::Config(_)
        | MetadataRecord::EndTransaction(_)
        | MetadataRecord::FeatureLevel(_)
        | MetadataRecord::FenceBroker(_)
        | MetadataRecord::NoOp(_)
        | MetadataRecord::PartitionChange(_)
        | MetadataRecord::Partition(_)
        | MetadataRecord::ProducerIds(_)
        | MetadataRecord::RegisterBroker(_)
        | MetadataRecord::RemoveTopic(_)
        | MetadataRecord::Topic(_)
        | MetadataRecord::UnfenceBroker(_)
        | MetadataRecord::UnregisterBroker(_) => return None,
    };
    Some(change)
}

/// The parts of an entity have no order.
fn quota_subject(quota: &ClientQuotaRecord) -> Subject {
    let parts = quota.entity.iter();
    let mut entity: Vec<_> = parts
        .map(|part| (part.entity_type.clone(), part.entity_name.clone()))
        .collect();
    entity.sort();
    Subject::ClientQuota {
        entity,
        key: quota.key.clone(),
    }
}

fn scram_subject(user: &str, mechanism: i8) -> Subject {
    Subject::ScramCredential {
        user: user.to_owned(),
        mechanism,
    }
}
