# Microsoft Defender: what it reports about itself.
Body 'Get-MpComputerStatus' {
    param($Bound, $Cmdlet)
    $values = [ordered]@{}
    $found = (Get-DoubleState).defender
    foreach ($property in $found.PSObject.Properties) {
        # Dates that nobody set are those of a fresh signature.
        $values[$property.Name] = if ($property.Name -like '*LastUpdated' -and $null -eq $property.Value) {
            [DateTime]::Now.AddHours(-6)
        } else { $property.Value }
    }
    New-DoubleCim 'root/microsoft/windows/defender' 'MSFT_MpComputerStatus' $values
}
# What was set; without `defender_preferences` in the state, what a Windows has on its first day.
Body 'Get-MpPreference' {
    param($Bound, $Cmdlet)
    $values = [ordered]@{
        AttackSurfaceReductionRules_Ids = $null; AttackSurfaceReductionRules_Actions = $null
        ExclusionPath = $null; ExclusionProcess = $null; ExclusionExtension = $null
        DisableRealtimeMonitoring = -not (Get-DoubleState).defender.RealTimeProtectionEnabled
        DisableBehaviorMonitoring = -not (Get-DoubleState).defender.BehaviorMonitorEnabled
        DisableIOAVProtection = -not (Get-DoubleState).defender.IoavProtectionEnabled
        PUAProtection = [byte]0; EnableNetworkProtection = [byte]0; MAPSReporting = [byte]2 }
    foreach ($property in (Get-DoubleState).defender_preferences.PSObject.Properties) { $values[$property.Name] = $property.Value }
    New-DoubleCim 'root/microsoft/windows/defender' 'MSFT_MpPreference' $values
}
# What tamper protection holds while it is on (Microsoft, "Protect security settings with tamper protection"): a write succeeds and does nothing.
$DoubleHeld = @{
    DisableRealtimeMonitoring = 'RealTimeProtectionEnabled'
    DisableBehaviorMonitoring = 'BehaviorMonitorEnabled'
    DisableIOAVProtection = 'IoavProtectionEnabled'
}
function Edit-DoublePreferences([scriptblock]$Change) {
    Edit-DoubleState {
        param($state)
        if (-not $state.PSObject.Properties['defender_preferences']) { Set-DoubleValue $state 'defender_preferences' ([pscustomobject]@{}) }
        & $Change $state $state.defender_preferences
    }
}
Body 'Set-MpPreference' {
    param($Bound, $Cmdlet)
    Assert-DoubleOnly $Cmdlet $Bound (@($DoubleHeld.Keys) + 'PUAProtection', 'EnableNetworkProtection')
    Edit-DoublePreferences {
        param($state, $preferences)
        foreach ($name in $Bound.Keys) {
            if (-not $DoubleHeld[$name]) { Set-DoubleValue $preferences $name ([int]$Bound[$name]) }
            elseif (-not $state.defender.IsTamperProtected) { $state.defender.($DoubleHeld[$name]) = -not $Bound[$name] }
        }
    }
}
Body 'Add-MpPreference' {
    param($Bound, $Cmdlet)
    Assert-DoubleOnly $Cmdlet $Bound 'AttackSurfaceReductionRules_Ids', 'AttackSurfaceReductionRules_Actions'
    Edit-DoublePreferences {
        param($state, $preferences)
        $known = [ordered]@{}
        $ids = @($preferences.AttackSurfaceReductionRules_Ids | Where-Object { $_ })
        for ($at = 0; $at -lt $ids.Count; $at++) { $known[$ids[$at]] = @($preferences.AttackSurfaceReductionRules_Actions)[$at] }
        $added = @($Bound.AttackSurfaceReductionRules_Ids)
        for ($at = 0; $at -lt $added.Count; $at++) { $known[$added[$at]] = [int]@($Bound.AttackSurfaceReductionRules_Actions)[$at] }
        Set-DoubleValue $preferences 'AttackSurfaceReductionRules_Ids' @($known.Keys)
        Set-DoubleValue $preferences 'AttackSurfaceReductionRules_Actions' @($known.Values)
    }
}
