//! Any sequence of batches, over many segments and lives, reads back as it was written.

use proptest::prelude::*;

use super::*;

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (1..40usize, 0..35usize).prop_map(|(postings, padding)| Step::Batch(postings, padding)),
        1 => (200..400usize, 0..35usize).prop_map(|(postings, padding)| Step::Batch(postings, padding)),
        2 => Just(Step::Seal),
    ];
    proptest::collection::vec(step, 1..25)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn what_was_written_is_read(lives in proptest::collection::vec((steps(), any::<bool>()), 1..4)) {
        let disk = MemoryDisk::default();
        let mut model = Model::default();
        for (steps, in_good_order) in lives {
            // A life that wrote nothing leaves the log as it was.
            let wrote = in_good_order || steps.iter().any(|step| matches!(step, Step::Batch(..)));
            let mut supplied = Vec::new();
            for step in steps {
                supplied.extend([Step::Supply, step]);
            }
            if in_good_order {
                supplied.push(Step::Close);
            }
            model.live(&disk, &supplied).unwrap();
            let (found, postings) = recovered(&disk).unwrap();
            prop_assert_eq!(&postings, &model.tried);
            prop_assert!(!wrote || found.clean_shutdown == in_good_order);
            prop_assert_eq!(found.torn_tail, None);
            prop_assert_eq!(found.log.position().next_lsn.0, model.tried.len() as u64 + 1);
        }
    }

    /// Whatever the sizes of records, two batches within the room are written.
    #[test]
    fn what_the_log_has_room_for_can_be_written(
        first in 1..600usize, paddings in proptest::collection::vec(0..35usize, 1..600), spare: bool,
    ) {
        let disk = MemoryDisk::default();
        let (found, _) = recovered(&disk).unwrap();
        let mut log = found.log;
        if spare {
            log.supply_from(&disk).unwrap();
        }
        let room = log.room() as usize;
        let mut batches = [Batch::default(), Batch::default()];
        let mut paddings = paddings.into_iter().cycle();
        for lsn in 1.. {
            let written = batches[0].bytes().len() + batches[1].bytes().len();
            if written + RECORD_BYTES_MAX > room {
                break;
            }
            let which = usize::from(lsn > first as u64);
            let posting = posting(lsn, 1, paddings.next().unwrap());
            batches[which].push(Lsn(lsn), &posting);
        }
        for batch in &batches {
            log.append(batch).unwrap();
        }
        log.seal().unwrap();
        log.close().unwrap();
        let (_, postings) = recovered(&disk).unwrap();
        prop_assert_eq!(postings.len() as u32, batches[0].postings() + batches[1].postings());
    }
}

#[test]
fn a_batch_longer_than_a_frame_is_written_as_several() {
    let disk = MemoryDisk::default();
    let settings = LogSettings {
        segment_bytes: 4 * FRAME_BYTES_MAX as u64,
        ..SETTINGS
    };
    let data = DataSet::open(Arc::new(disk.clone()), 1, settings, FOUNDING).unwrap();
    let mut visitor = |_: Lsn, _: Posting| Ok(());
    let recover = |visitor: &mut dyn Visitor| data.recover(SHARD, &Progress::default(), visitor);
    let mut log = recover(&mut visitor).unwrap().log;
    let mut batch = Batch::default();
    for lsn in 1.. {
        batch.push(Lsn(lsn), &posting(lsn, 1, 10));
        if batch.bytes().len() > 2 * FRAME_BYTES_MAX {
            break;
        }
    }
    log.append(&batch).unwrap();
    let found = recover(&mut visitor).unwrap();
    assert_eq!(
        (found.frames, found.postings),
        (3, u64::from(batch.postings()))
    );
}

#[test]
fn an_idle_log_is_sealed_once() {
    let disk = MemoryDisk::default();
    let mut model = Model::default();
    let position = |model: &mut Model, steps: &[Step]| {
        model.live(&disk, steps).unwrap();
        recovered(&disk).unwrap().0.log.position().offset / 4_096
    };
    assert_eq!(position(&mut model, &[Step::Seal]), 1, "nothing to seal");
    assert_eq!(position(&mut model, &[Step::Batch(1, 0)]), 2);
    assert_eq!(position(&mut model, &[Step::Seal, Step::Seal]), 3);
    assert_eq!(
        position(&mut model, &[Step::Seal]),
        3,
        "sealed in an earlier life"
    );
}
