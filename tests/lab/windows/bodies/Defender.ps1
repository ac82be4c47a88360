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
        PUAProtection = [byte]0; EnableNetworkProtection = [byte]0; MAPSReporting = [byte]2 }
    foreach ($property in (Get-DoubleState).defender_preferences.PSObject.Properties) { $values[$property.Name] = $property.Value }
    New-DoubleCim 'root/microsoft/windows/defender' 'MSFT_MpPreference' $values
}
